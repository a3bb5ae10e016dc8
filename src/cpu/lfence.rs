//! Whether LFENCE keeps later instructions from starting, without which a reading of the clock is worth nothing.

use super::access::CpuAccess;
use super::errata;
use super::features::{Features, Vendor};

/// Whether LFENCE is dispatch-serialising.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lfence {
    /// On every CPU of this kind.
    Always,
    /// Because a bit was set when the image came.
    WasSet,
    /// Because the image set the bit.
    NowSet,
    /// It is not, and the bit cannot be set.
    No,
    /// Nothing says.
    Unknown,
}

impl Lfence {
    /// The name in logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Lfence::Always => "always",
            Lfence::WasSet => "was_set",
            Lfence::NowSet => "now_set",
            Lfence::No => "no",
            Lfence::Unknown => "unknown",
        }
    }

    /// Whether it is known to serialise.
    #[must_use]
    pub const fn serialises(self) -> bool {
        matches!(self, Lfence::Always | Lfence::WasSet | Lfence::NowSet)
    }

    /// Looks, and makes it so where it has to be asked for.
    ///
    /// Intel's LFENCE always waits (SDM volume 2, LFENCE). AMD's does on the families that [`errata`] names, and where CPUID 8000_0021H
    /// EAX bit 2 says so; else where bit 1 of DE_CFG is set (APM volume 3, LFENCE).
    pub fn ensure(cpu: &impl CpuAccess, features: &Features) -> Self {
        const ALWAYS_SERIALISING: u32 = 1 << 2;
        const DE_CFG: u32 = 0xc001_1029;
        const SERIALISING: u64 = 1 << 1;
        if errata::lfence_serialises(features) {
            return Lfence::Always;
        }
        if features.vendor_kind() != Vendor::Amd {
            return Lfence::Unknown;
        }
        let leaf = cpu.leaf(0x8000_0021);
        if leaf.is_some_and(|leaf| leaf.eax & ALWAYS_SERIALISING != 0) {
            return Lfence::Always;
        }
        let Some(before) = cpu.read_msr(DE_CFG) else {
            return Lfence::Unknown;
        };
        if before & SERIALISING != 0 {
            return Lfence::WasSet;
        }
        // SAFETY: on AMD's CPUs the bit makes LFENCE wait, and does nothing else.
        unsafe { cpu.write_msr(DE_CFG, before | SERIALISING) };
        let after = cpu.read_msr(DE_CFG).unwrap_or(0);
        if after & SERIALISING != 0 {
            Lfence::NowSet
        } else {
            Lfence::No
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::access::made_up::MadeUpCpu;
    use super::*;

    const DE_CFG: u32 = 0xc001_1029;

    fn ensure(cpu: &MadeUpCpu) -> Lfence {
        Lfence::ensure(cpu, &Features::read(cpu))
    }

    fn zen() -> MadeUpCpu {
        MadeUpCpu::new("AuthenticAMD", 0x17, 1)
    }

    #[test]
    fn each_kind_of_cpu() {
        assert_eq!(
            ensure(&MadeUpCpu::new("GenuineIntel", 6, 0x55)),
            Lfence::Always
        );
        assert_eq!(
            ensure(&MadeUpCpu::new("CentaurHauls", 6, 15)),
            Lfence::Unknown
        );
        // K8 has no such register, and family 11H neither.
        for family in [0x0f, 0x11] {
            assert_eq!(
                ensure(&MadeUpCpu::new("AuthenticAMD", family, 3)),
                Lfence::Always
            );
        }
        let says_so = zen().with(0x8000_0021, [1 << 2, 0, 0, 0]);
        assert_eq!(ensure(&says_so), Lfence::Always);
        assert!(Lfence::NowSet.serialises() && !Lfence::Unknown.serialises());
    }

    #[test]
    fn the_bit_is_set_where_it_can_be() {
        assert_eq!(ensure(&zen().with_msr(DE_CFG, 2)), Lfence::WasSet);
        let unset = zen().with_msr(DE_CFG, 1 << 9);
        assert_eq!(ensure(&unset), Lfence::NowSet);
        assert_eq!(unset.read_msr(DE_CFG), Some(1 << 9 | 2));
        // A hypervisor that ignores the write, and one that refuses the read.
        assert_eq!(ensure(&zen().with_stubborn_msr(DE_CFG, 0)), Lfence::No);
        assert_eq!(ensure(&zen()), Lfence::Unknown);
        let hygon = MadeUpCpu::new("HygonGenuine", 0x18, 1).with_msr(DE_CFG, 0);
        assert_eq!(ensure(&hygon), Lfence::NowSet);
    }
}
