//! The revision of the microcode.

use pagemark::cpu::features::Features;
use pagemark::cpu::probe::{read_msr, write_msr};
use raw_cpuid::cpuid;

/// IA32_BIOS_SIGN_ID on Intel's CPUs, the patch level on AMD's.
const REVISION: u32 = 0x8b;

/// The revision, where the CPU tells it (Intel SDM volume 3, 11.11.7.1; AMD's BKDGs, MSR 0000_008B). `None` also for 0, which is
/// what hypervisors put there.
pub(super) fn revision(features: &Features) -> Option<u64> {
    let value = if features.vendor.as_str() == "GenuineIntel" {
        // SAFETY: 0 in the register lets CPUID 1 put the revision there; nothing else hangs on it.
        unsafe { write_msr(REVISION, 0) };
        let _ = cpuid!(1);
        read_msr(REVISION)? >> 32
    } else {
        read_msr(REVISION)? & 0xffff_ffff
    };
    (value != 0).then_some(value)
}
