//! The revision of the microcode.

use super::access::CpuAccess;
use super::features::{Features, Vendor};

/// IA32_BIOS_SIGN_ID on Intel's CPUs, the patch level on AMD's.
const REVISION: u32 = 0x8b;

/// The revision, where the CPU shows it (Intel SDM volume 3, 11.11.7.1; AMD's BKDGs, MSR 0000_008B). `Some(0)` is a CPU that has loaded
/// none, or a hypervisor's answer.
pub fn revision(cpu: &impl CpuAccess, features: &Features) -> Option<u64> {
    if features.vendor_kind() == Vendor::Intel {
        // SAFETY: 0 in the register lets CPUID 1 put the revision there; nothing else hangs on it.
        unsafe { cpu.write_msr(REVISION, 0) };
        let _ = cpu.cpuid(1, 0);
        Some(cpu.read_msr(REVISION)? >> 32)
    } else {
        Some(cpu.read_msr(REVISION)? & 0xffff_ffff)
    }
}

#[cfg(test)]
mod tests {
    use super::super::access::made_up::MadeUpCpu;
    use super::*;

    #[test]
    fn the_half_of_the_register_that_a_vendor_uses() {
        let revision = |vendor, value| {
            let cpu = MadeUpCpu::new(vendor, 6, 0x97).with_stubborn_msr(REVISION, value);
            revision(&cpu, &Features::read(&cpu))
        };
        assert_eq!(revision("GenuineIntel", 0x2e_0000_0000), Some(0x2e));
        assert_eq!(revision("AuthenticAMD", 0x0a20_1210), Some(0x0a20_1210));
        assert_eq!(revision("GenuineIntel", 0), Some(0));
        let none = MadeUpCpu::new("GenuineIntel", 6, 0x97);
        assert_eq!(super::revision(&none, &Features::read(&none)), None);
    }
}
