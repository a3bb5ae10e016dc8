//! What CPUID and a hypervisor state of the time-stamp counter's rate. Nothing is counted here, and nothing is believed: what the statements
//! are worth beside timers is concluded elsewhere.

use core::ops::RangeInclusive;

use super::access::CpuAccess;
use super::errata;
use super::features::Features;
use super::hypervisor::{HYPER_V, Hypervisor, KVM, XEN};

/// Ticks in a second, by each statement; `None` where it is not made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct StatedRates {
    /// CPUID leaf 15H with its crystal's frequency (Intel SDM volume 3, 20.7.3).
    pub cpuid_15h: Option<u64>,
    /// CPUID leaf 15H without it, and the crystal of CPUs of this model.
    pub cpuid_15h_by_model: Option<u64>,
    /// CPUID leaf 16H: the base frequency, a rounded number of MHz.
    pub cpuid_16h: Option<u64>,
    /// The hypervisor's leaf or register.
    pub hypervisor: Option<u64>,
}

impl StatedRates {
    /// Asks `cpu`, whose features are these.
    #[must_use]
    pub fn read(cpu: &impl CpuAccess, features: &Features) -> Self {
        let base = cpu
            .leaf(0x16)
            .map_or(0, |leaf| u64::from(leaf.eax & 0xffff) * MHZ);
        let mut rates = StatedRates {
            cpuid_16h: (base != 0).then_some(base),
            hypervisor: features
                .under
                .as_ref()
                .and_then(|hypervisor| by_hypervisor(cpu, hypervisor)),
            ..Self::default()
        };
        if let Some(leaf) = cpu.leaf(0x15).filter(|leaf| leaf.eax != 0 && leaf.ebx != 0) {
            let rate = |crystal: u64| crystal * u64::from(leaf.ebx) / u64::from(leaf.eax);
            let stated = (leaf.ecx != 0).then(|| rate(u64::from(leaf.ecx)));
            // Everything needs a frequency that a CPU can have: an emulator's leaf may hold anything.
            rates.cpuid_15h = stated.filter(|&hertz| hertz >= MHZ);
            if leaf.ecx == 0 {
                rates.cpuid_15h_by_model = errata::crystals(features)
                    .iter()
                    .map(|&crystal| rate(crystal))
                    .find(|&hertz| fits(hertz, base, features));
            }
        }
        rates
    }

    /// Ticks in a second for waits that may be too long, and must not be too short: what is stated, else more than any CPU has.
    #[must_use]
    pub fn for_waits(&self) -> u64 {
        const FASTEST: u64 = 5_000_000_000;
        const CREDIBLE: RangeInclusive<u64> = 200_000_000..=10_000_000_000;
        let stated = self.cpuid_15h.or(self.hypervisor);
        stated
            .filter(|hertz| CREDIBLE.contains(hertz))
            .unwrap_or(FASTEST)
    }
}

const MHZ: u64 = 1_000_000;

/// Whether a rate with a crystal of the model's goes with the base frequency, which is rounded by up to 1 %. Where there is none, a model
/// of one crystal is taken at its word.
fn fits(hertz: u64, base: u64, features: &Features) -> bool {
    match base {
        0 => errata::crystals(features).len() == 1,
        base => hertz.abs_diff(base) * 100 <= base,
    }
}

/// What the hypervisor states: Xen in its own leaf (base + 3, `xen/include/public/arch-x86/cpuid.h`), Hyper-V in a register, others in leaf
/// 4000_0010H (VMware's, which KVM, ACRN and others took over).
fn by_hypervisor(cpu: &impl CpuAccess, hypervisor: &Hypervisor) -> Option<u64> {
    const TSC_FREQUENCY: u32 = 0x4000_0022;
    const MAY_READ_FREQUENCIES: u32 = 1 << 11;
    let last = hypervisor.last_leaf(cpu);
    let leaf = |offset: u32| {
        let leaf = hypervisor.base + offset;
        (leaf <= last && last - hypervisor.base < 0x100).then(|| cpu.cpuid(leaf, 0))
    };
    let hertz = match hypervisor.name.as_str() {
        XEN => u64::from(leaf(3)?.ecx) * 1000,
        HYPER_V => {
            let may = leaf(3)?.eax & MAY_READ_FREQUENCIES != 0;
            may.then(|| cpu.read_msr(TSC_FREQUENCY)).flatten()?
        }
        _ => u64::from(leaf(0x10)?.eax) * 1000,
    };
    (hertz != 0).then_some(hertz)
}

/// The register that KVM's clock of this CPU is switched on by (Linux, Documentation/virt/kvm/x86/msr.rst), and whether there is one.
#[must_use]
pub fn kvm_clock_register(cpu: &impl CpuAccess, hypervisor: &Hypervisor) -> Option<u32> {
    const OLD: (u32, u32) = (1 << 0, 0x12);
    const NEW: (u32, u32) = (1 << 3, 0x4b56_4d01);
    if &hypervisor.name != KVM {
        return None;
    }
    let features = cpu.cpuid(hypervisor.base + 1, 0).eax;
    [NEW, OLD]
        .into_iter()
        .find_map(|(bit, register)| (features & bit != 0).then_some(register))
}

/// The rate behind KVM's clock: nanoseconds are ticks, shifted by `shift` to the left, times `multiplier` / 2^32.
#[must_use]
pub fn by_kvm_clock(multiplier: u32, shift: i8) -> Option<u64> {
    let ticks = (1_000_000_000u128 << 32).checked_div(u128::from(multiplier))?;
    let hertz = match u32::from(shift.unsigned_abs()) {
        places @ 0..32 if shift < 0 => ticks << places,
        places @ 0..32 => ticks >> places,
        _ => return None,
    };
    u64::try_from(hertz).ok().filter(|&hertz| hertz != 0)
}

#[cfg(test)]
mod tests;
