//! What a reader of the figures has to know about them, as words.

use arrayvec::ArrayVec;

use crate::{AGREEMENT_PPM, Class, Rate};

/// What the tags follow from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Facts {
    /// Who executes.
    pub class: Class,
    /// CPUID 8000_0007H EDX bit 8.
    pub invariant_tsc: bool,
    /// LFENCE is known to wait for what is before it.
    pub lfence_serialises: bool,
    /// What the sources of the TSC's frequency come to.
    pub rate: Rate,
    /// How far they are apart.
    pub disagreement_ppm: Option<u64>,
    /// The counter of system-management interrupts moved while the readings were taken.
    pub smi: bool,
    /// Nanoseconds stolen meanwhile.
    pub steal_ns: u64,
    /// Bytes of RAM that the MTRRs leave otherwise than write-back.
    pub not_write_back: u64,
    /// CR0.CD is set: nothing is cached.
    pub caches_off: bool,
    /// The CPU shows no revision of its microcode.
    pub no_microcode: bool,
    /// See [`crate::fractured`].
    pub fractured: Option<bool>,
    /// The core's rate, beside the TSC's, had not settled when the figures began.
    pub unsettled: bool,
    /// The CPU says that it is being slowed down because it is too hot.
    pub too_hot: bool,
    /// CPUs that the run was to have and goes without.
    pub cpus_missing: bool,
}

/// The tags of an environment.
pub type Tags = ArrayVec<&'static str, 16>;

/// Concludes the tags: none on a machine whose figures are worth what they seem.
#[must_use]
pub fn tags(facts: &Facts) -> Tags {
    let hardware = facts.class.is_hardware();
    let silicon = facts.class == Class::Silicon;
    let disagree = facts
        .disagreement_ppm
        .is_some_and(|ppm| ppm > AGREEMENT_PPM);
    let all = [
        // Ticks of an emulator's time are no cycles of any CPU.
        (
            matches!(
                facts.class,
                Class::Tcg | Class::Emulator | Class::EmulatingKvm
            ),
            "emulated",
        ),
        (
            facts.class == Class::HiddenVirtualisation,
            "hypervisor_hidden",
        ),
        // Virtual time that does not advance by one with each instruction.
        (
            facts.class.shift().is_some_and(|shift| shift != 0),
            "icount_shift",
        ),
        (hardware && !facts.invariant_tsc, "tsc_variant"),
        (
            hardware && !facts.lfence_serialises,
            "lfence_not_serialising",
        ),
        (hardware && disagree, "frequency_disagrees"),
        (
            hardware && matches!(facts.rate, Rate::Unconfirmed { .. }),
            "frequency_unconfirmed",
        ),
        // By definition, an instruction is a nanosecond, shifted.
        (
            facts.class.shift().is_none() && facts.rate.hertz().is_none(),
            "frequency_unknown",
        ),
        // A hypervisor decides itself how memory is cached, and what revision it shows.
        (silicon && facts.not_write_back > 0, "memory_not_write_back"),
        (silicon && facts.caches_off, "caches_off"),
        (silicon && facts.no_microcode, "no_microcode"),
        (facts.smi, "smi"),
        (facts.steal_ns != 0, "steal"),
        (facts.fractured == Some(true), "fractured"),
        (hardware && facts.unsettled, "frequency_unsettled"),
        (hardware && facts.too_hot, "too_hot"),
        // Figures of several CPUs are of fewer than the machine has.
        (facts.cpus_missing, "cpus_missing"),
    ];
    all.into_iter()
        .filter_map(|(applies, tag)| applies.then_some(tag))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Source;

    const AGREED: Rate = Rate::Agreed {
        hertz: 2_000_000_000,
        source: Source::Hpet,
    };

    const SILICON: Facts = Facts {
        class: Class::Silicon,
        invariant_tsc: true,
        lfence_serialises: true,
        rate: AGREED,
        disagreement_ppm: Some(40),
        smi: false,
        not_write_back: 0,
        caches_off: false,
        no_microcode: false,
        steal_ns: 0,
        fractured: None,
        unsettled: false,
        too_hot: false,
        cpus_missing: false,
    };

    #[test]
    fn good_machines_have_none() {
        let icount = Facts {
            class: Class::TcgIcount { shift: 0 },
            invariant_tsc: false,
            lfence_serialises: false,
            rate: Rate::Unknown,
            ..SILICON
        };
        let kvm = Facts {
            class: Class::HardwareVirtualisation,
            fractured: Some(false),
            not_write_back: 1 << 30,
            caches_off: true,
            no_microcode: true,
            ..SILICON
        };
        for good in [SILICON, icount, kvm] {
            assert!(tags(&good).is_empty(), "{good:?}");
        }
    }

    #[test]
    fn each_fault_has_its_word() {
        let one = |facts: Facts| {
            let tags = tags(&facts);
            assert_eq!(tags.len(), 1, "{facts:?}: {tags:?}");
            tags[0]
        };
        let class = |class| one(Facts { class, ..SILICON });
        assert_eq!(class(Class::Tcg), "emulated");
        assert_eq!(class(Class::Emulator), "emulated");
        assert_eq!(class(Class::EmulatingKvm), "emulated");
        assert_eq!(class(Class::HiddenVirtualisation), "hypervisor_hidden");
        assert_eq!(class(Class::TcgIcount { shift: 3 }), "icount_shift");
        let of = |change: fn(&mut Facts)| {
            let mut facts = SILICON;
            change(&mut facts);
            one(facts)
        };
        assert_eq!(of(|facts| facts.invariant_tsc = false), "tsc_variant");
        assert_eq!(
            of(|facts| facts.lfence_serialises = false),
            "lfence_not_serialising"
        );
        assert_eq!(
            of(|facts| facts.disagreement_ppm = Some(9000)),
            "frequency_disagrees"
        );
        let alone = Rate::Unconfirmed {
            hertz: 1,
            source: Source::Pit,
        };
        let rate = |rate| one(Facts { rate, ..SILICON });
        assert_eq!(rate(alone), "frequency_unconfirmed");
        assert_eq!(rate(Rate::Unknown), "frequency_unknown");
        assert_eq!(rate(Rate::Contradicted), "frequency_unknown");
        assert_eq!(
            of(|facts| facts.not_write_back = 4096),
            "memory_not_write_back"
        );
        assert_eq!(of(|facts| facts.caches_off = true), "caches_off");
        assert_eq!(of(|facts| facts.no_microcode = true), "no_microcode");
        assert_eq!(of(|facts| facts.smi = true), "smi");
        assert_eq!(of(|facts| facts.steal_ns = 1), "steal");
        assert_eq!(of(|facts| facts.fractured = Some(true)), "fractured");
        assert_eq!(of(|facts| facts.cpus_missing = true), "cpus_missing");
    }
}
