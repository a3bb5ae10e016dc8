//! Machine checks: what the hardware reports of its own faults (Intel SDM volume 3, chapter 17; AMD APM volume 2, chapter 9).
//!
//! Without CR4.MCE a machine check resets the machine, and nobody learns why. So it is set, and what the banks hold is taken down:
//! before the run what they kept from before, which is a reason to look at the machine, and in the exception what is wrong now.

use core::fmt;

use super::access::CpuAccess;
use super::features::{Features, Vendor};

const MCG_CAP: u32 = 0x179;
const MCG_STATUS: u32 = 0x17a;
const MCG_CTL: u32 = 0x17b;
/// MCG_CAP: how many banks, and whether there is MCG_CTL.
const CAP_BANKS: u64 = 0xff;
const CAP_CTL: u64 = 1 << 8;
/// Registers of bank n: control, status, address and more, at 400H + 4n.
const BANKS: u32 = 0x400;
/// MCi_STATUS.
const VALID: u64 = 1 << 63;
const UNCORRECTED: u64 = 1 << 61;
const ENABLED: u64 = 1 << 60;
const MISC_VALID: u64 = 1 << 59;
const ADDRESS_VALID: u64 = 1 << 58;
/// Banks that are looked at: MSRs 480H and up are other registers. AMD's further banks are reached elsewhere, and hold nothing of a core's.
const MOST_BANKS: u64 = 32;

/// What a bank holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bank {
    /// Which one.
    pub number: u32,
    /// MCi_STATUS.
    pub status: u64,
    /// MCi_ADDR, where that says something.
    pub address: Option<u64>,
    /// MCi_MISC, likewise.
    pub misc: Option<u64>,
}

impl fmt::Display for Bank {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.status & UNCORRECTED == 0 {
            "corrected"
        } else {
            "uncorrected"
        };
        write!(f, "bank {}: {kind}, status {:#x}", self.number, self.status)?;
        if let Some(address) = self.address {
            write!(f, ", address {address:#x}")?;
        }
        if let Some(misc) = self.misc {
            write!(f, ", misc {misc:#x}")?;
        }
        Ok(())
    }
}

/// Banks of this CPU; 0 where it has none, or does not say so (CPUID 1 EDX bits 7 and 14).
fn banks(cpu: &impl CpuAccess) -> u32 {
    const MCE: u32 = 1 << 7;
    const MCA: u32 = 1 << 14;
    if cpu.cpuid(1, 0).edx & (MCE | MCA) != MCE | MCA {
        return 0;
    }
    let cap = cpu.read_msr(MCG_CAP).unwrap_or(0);
    (cap & CAP_BANKS).min(MOST_BANKS) as u32
}

/// What the banks hold that is valid.
pub fn held(cpu: &impl CpuAccess) -> impl Iterator<Item = Bank> {
    (0..banks(cpu)).filter_map(move |number| {
        let register = |offset| cpu.read_msr(BANKS + 4 * number + offset);
        let status = register(1).filter(|status| status & VALID != 0)?;
        let of = |valid, offset| (status & valid != 0).then(|| register(offset)).flatten();
        Some(Bank {
            number,
            status,
            address: of(ADDRESS_VALID, 2),
            misc: of(MISC_VALID, 3),
        })
    })
}

/// Empties the banks, and calls `found` for each that held something.
pub fn empty(cpu: &impl CpuAccess, mut found: impl FnMut(Bank)) {
    for bank in held(cpu) {
        found(bank);
        // SAFETY: zeros in a status make the bank take the next error, and nothing else hangs on it.
        unsafe { cpu.write_msr(BANKS + 4 * bank.number + 1, 0) };
    }
}

/// Has every bank report the errors that its control register says; `None` leaves it as it is.
pub fn start(cpu: &impl CpuAccess, control: impl Fn(u32) -> Option<u64>) {
    if cpu.read_msr(MCG_CAP).is_some_and(|cap| cap & CAP_CTL != 0) {
        // SAFETY: all ones let all parts of the CPU report; an error that is there shows in a bank.
        unsafe { cpu.write_msr(MCG_CTL, u64::MAX) };
    }
    for bank in 0..banks(cpu) {
        if let Some(control) = control(bank) {
            // SAFETY: the same, for the bank's own errors.
            unsafe { cpu.write_msr(BANKS + 4 * bank, control) };
        }
    }
}

/// What a bank's control register is to hold; `None`: what the firmware has put there. Both exceptions are Linux's, too
/// (`arch/x86/kernel/cpu/mce`).
pub fn control(features: &Features, bank: u32) -> Option<u64> {
    match (features.vendor_kind(), features.family, bank) {
        // Bank 0 of P6 to Core 2 is the BIOS's (SDM volume 3, 17.3.2.1).
        (Vendor::Intel, 6, 0) if features.model < 0x1a => None,
        // K8 reports walks of its GART that fail, of which there are some that are no errors.
        (Vendor::Amd, 0x0f, 4) => Some(!(1 << 10)),
        _ => Some(u64::MAX),
    }
}

/// How the boot CPU's banks were set.
#[cfg(target_os = "none")]
static CONTROLS: spin::Once<[Option<u64>; MOST_BANKS as usize]> = spin::Once::new();

/// Lets machine checks interrupt this CPU: CR4.MCE.
#[cfg(target_os = "none")]
fn let_interrupt() {
    use super::registers::{cr4, write_cr4};
    const CR4_MCE: u64 = 1 << 6;
    // SAFETY: only called where CPUID has machine checks; what they interrupt ends in a panic's words, or would in a reset.
    unsafe { write_cr4(cr4() | CR4_MCE) };
}

/// Switches machine checks on for the boot CPU, and calls `found` for each bank that held something from before.
#[cfg(target_os = "none")]
pub fn switch_on(features: &Features, found: impl FnMut(Bank)) {
    let cpu = &super::access::ThisCpu;
    let controls = core::array::from_fn(|bank| control(features, bank as u32));
    CONTROLS.call_once(|| controls);
    if banks(cpu) > 0 {
        empty(cpu, found);
        start(cpu, |bank| control(features, bank));
        let_interrupt();
    }
}

/// Switches them on for another CPU, which is like the boot CPU, and calls `found` for each bank that held something from before. Banks
/// that CPUs share hold nothing any more.
#[cfg(target_os = "none")]
pub fn switch_on_like_boot_cpu(found: impl FnMut(Bank)) {
    let cpu = &super::access::ThisCpu;
    if let Some(controls) = CONTROLS.get()
        && banks(cpu) > 0
    {
        empty(cpu, found);
        start(cpu, |bank| controls.get(bank as usize).copied().flatten());
        let_interrupt();
    }
}

/// MCG_STATUS: bit 0 says that what was interrupted can go on, bit 2 that a machine check is being handled.
pub fn global_status(cpu: &impl CpuAccess) -> u64 {
    cpu.read_msr(MCG_STATUS).unwrap_or(0)
}

/// Whether this CPU's banks say why a machine check interrupted it: an error that nothing corrected, and that is reported by one.
///
/// On Intel, a machine check interrupts all CPUs, of which one or a few see the reason (SDM volume 3, 17.10.4.1).
pub fn knows_why(cpu: &impl CpuAccess) -> bool {
    held(cpu).any(|bank| bank.status & (UNCORRECTED | ENABLED) == UNCORRECTED | ENABLED)
}

/// What a machine check is about, for the words of a panic.
pub struct Report<'c, C>(pub &'c C);

impl<C: CpuAccess> fmt::Display for Report<'_, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "machine check, MCG_STATUS {:#x}", global_status(self.0))?;
        let mut reported = false;
        for bank in held(self.0) {
            write!(f, "; {bank}")?;
            reported = true;
        }
        if reported {
            Ok(())
        } else {
            write!(f, "; no bank says why")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::access::made_up::MadeUpCpu;
    use super::*;

    /// A CPU of three banks, the second of which holds something.
    fn cpu(vendor: &str, family: u32, model: u32, status: u64) -> MadeUpCpu {
        let mut cpu = MadeUpCpu::new(vendor, family, model);
        let version = cpu.cpuid(1, 0).eax;
        cpu = cpu
            .with(1, [version, 0, 0, 1 << 7 | 1 << 14])
            .with_msr(MCG_CAP, 3 | CAP_CTL)
            .with_msr(MCG_STATUS, 5)
            .with_msr(MCG_CTL, 0);
        for register in BANKS..BANKS + 12 {
            cpu = cpu.with_msr(register, 0);
        }
        cpu.with_msr(BANKS + 5, status)
            .with_msr(BANKS + 6, 0x1234_5000)
            .with_msr(BANKS + 7, 0x86)
    }

    #[test]
    fn what_banks_hold_is_reported_once() {
        let status = VALID | UNCORRECTED | ADDRESS_VALID | 0x135;
        let cpu = cpu("GenuineIntel", 6, 0x55, status);
        let mut found = Vec::new();
        empty(&cpu, |bank| found.push(bank.to_string()));
        assert_eq!(
            found,
            ["bank 1: uncorrected, status 0xa400000000000135, address 0x12345000"]
        );
        empty(&cpu, |bank| panic!("{bank}"));
    }

    #[test]
    fn a_report_names_every_bank_or_none() {
        let corrected = cpu("AuthenticAMD", 0x19, 1, VALID | MISC_VALID | 7);
        let report = Report(&corrected).to_string();
        assert_eq!(
            report,
            "machine check, MCG_STATUS 0x5; bank 1: corrected, status 0x8800000000000007, misc 0x86"
        );
        // A status that is not valid says nothing, whatever stands in it.
        let nothing = cpu("AuthenticAMD", 0x19, 1, !VALID);
        assert_eq!(
            Report(&nothing).to_string(),
            "machine check, MCG_STATUS 0x5; no bank says why"
        );
    }

    #[test]
    fn a_cpu_that_was_only_interrupted_with_the_others_does_not_know_why() {
        for (status, knows) in [
            (0, false),
            (VALID, false),
            (VALID | ENABLED, false),
            // As QEMU has it of the CPUs that it interrupts beside the one.
            (VALID | UNCORRECTED, false),
            (UNCORRECTED | ENABLED, false),
            (VALID | UNCORRECTED | ENABLED, true),
        ] {
            let cpu = cpu("GenuineIntel", 6, 0x55, status);
            assert_eq!(knows_why(&cpu), knows, "{status:#x}");
        }
    }

    #[test]
    fn every_bank_reports_but_for_those_that_must_not() {
        let controls = |cpu: &MadeUpCpu| {
            let features = Features::read(cpu);
            start(cpu, |bank| control(&features, bank));
            [0, 4, 8].map(|offset| cpu.read_msr(BANKS + offset).unwrap())
        };
        let all = u64::MAX;
        let skylake = cpu("GenuineIntel", 6, 0x55, 0);
        assert_eq!(controls(&skylake), [all; 3]);
        assert_eq!(skylake.read_msr(MCG_CTL), Some(all));
        assert_eq!(controls(&cpu("GenuineIntel", 6, 0x17, 0)), [0, all, all]);
        let k8 = Features::read(&cpu("AuthenticAMD", 0x0f, 0x41, 0));
        assert_eq!(control(&k8, 4), Some(!(1 << 10)));
    }

    #[test]
    fn a_cpu_without_machine_checks_is_left_alone() {
        let none = MadeUpCpu::new("GenuineIntel", 6, 0x55).with_msr(MCG_CAP, 3);
        assert_eq!((banks(&none), held(&none).count()), (0, 0));
        // Nor does a count that reaches into other registers lead there.
        let many = cpu("AuthenticAMD", 0x19, 1, 0).with_msr(MCG_CAP, 255);
        assert_eq!(banks(&many), 32);
    }
}
