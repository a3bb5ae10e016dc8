//! Whether LFENCE keeps later instructions from starting, without which a reading of the clock is worth nothing.

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
    /// Nothing tells.
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
}

/// DE_CFG bit 1: LFENCE is dispatch-serialising.
const SERIALISING: u64 = 1 << 1;

/// Concludes it: Intel's LFENCE always waits (SDM volume 2, LFENCE); AMD's does where CPUID 8000_0021H EAX bit 2 says so, else
/// where bit 1 of DE_CFG (MSR C001_1029H) is set (AMD APM volume 3, LFENCE). `before` and `after` are that register before and
/// after the image tried to set the bit; `None` where it cannot be read.
#[must_use]
pub fn lfence(
    vendor: &str,
    leaf_8000_0021_eax: u32,
    before: Option<u64>,
    after: Option<u64>,
) -> Lfence {
    let amd = matches!(vendor, "AuthenticAMD" | "HygonGenuine");
    let set = |register: Option<u64>| register.map(|value| value & SERIALISING != 0);
    match (vendor, amd, set(before), set(after)) {
        ("GenuineIntel", ..) => Lfence::Always,
        (_, true, ..) if leaf_8000_0021_eax & 1 << 2 != 0 => Lfence::Always,
        (_, true, Some(true), _) => Lfence::WasSet,
        (_, true, Some(false), Some(true)) => Lfence::NowSet,
        (_, true, Some(false), _) => Lfence::No,
        _ => Lfence::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_cpu() {
        let amd = |leaf, before, after| lfence("AuthenticAMD", leaf, before, after);
        assert_eq!(lfence("GenuineIntel", 0, None, None), Lfence::Always);
        assert_eq!(amd(1 << 2, None, None), Lfence::Always);
        assert_eq!(amd(0, Some(2), Some(2)), Lfence::WasSet);
        assert_eq!(amd(0, Some(0), Some(2)), Lfence::NowSet);
        // A hypervisor that ignores the write, and one that refuses the read.
        assert_eq!(amd(0, Some(0), Some(0)), Lfence::No);
        assert_eq!(amd(0, Some(0), None), Lfence::No);
        assert_eq!(amd(0, None, None), Lfence::Unknown);
        assert_eq!(lfence("CentaurHauls", 0, None, None), Lfence::Unknown);
        assert!(Lfence::NowSet.serialises() && !Lfence::Unknown.serialises());
    }
}
