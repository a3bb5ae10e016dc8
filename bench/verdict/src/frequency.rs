//! Ticks of the time-stamp counter in a second, by every source that there is, and what they come to together.
//!
//! Any source can be wrong: an emulator advertises a leaf that its TSC ignores (Bochs, issue 791: 875 times off), boards have a PM timer
//! that runs twice as fast (Linux, `drivers/clocksource/acpi_pm.c`), and a model number does not say which crystal is soldered in. So a
//! rate is one that two sources agree on.

use crate::counting::Counted;

/// Where a frequency is from, the most trusted first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Source {
    /// CPUID leaf 15H that states the crystal's frequency beside the ratio.
    Cpuid15,
    /// What the hypervisor states: leaf 4000_0010H, Xen's leaf, Hyper-V's register.
    Hypervisor,
    /// The multiplier of KVM's clock.
    KvmClock,
    /// Counted against the high-precision event timer.
    Hpet,
    /// Counted against the ACPI power-management timer.
    PmTimer,
    /// Counted against the programmable interval timer.
    Pit,
    /// CPUID leaf 15H with the crystal that CPUs of this model have.
    Cpuid15ByModel,
    /// CPUID leaf 16H: the base frequency, a rounded number of MHz.
    Cpuid16,
}

impl Source {
    /// Each of them, in order of trust.
    pub const ALL: [Source; 8] = [
        Source::Cpuid15,
        Source::Hypervisor,
        Source::KvmClock,
        Source::Hpet,
        Source::PmTimer,
        Source::Pit,
        Source::Cpuid15ByModel,
        Source::Cpuid16,
    ];

    /// The name in logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Source::Cpuid15 => "cpuid 15h",
            Source::Hypervisor => "hypervisor",
            Source::KvmClock => "kvm clock",
            Source::Hpet => "hpet",
            Source::PmTimer => "pm timer",
            Source::Pit => "pit",
            Source::Cpuid15ByModel => "cpuid 15h, crystal by model",
            Source::Cpuid16 => "cpuid 16h",
        }
    }

    /// Whether it is a witness of the rate. Leaf 16H is none: it is a rounded number of MHz that is printed on the box (N100: 800 of
    /// 806.4), and does not follow the bus that somebody has overclocked.
    const fn is_witness(self) -> bool {
        !matches!(self, Source::Cpuid16)
    }
}

/// What the sources say, in hertz; absent ones say nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Frequencies([Option<Counted>; Source::ALL.len()]);

/// What the sources come to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rate {
    /// At least two agree on it, and fewer on any other.
    Agreed {
        /// Ticks in a second.
        hertz: u64,
        /// The most trusted of those that agree.
        source: Source,
    },
    /// One source gives it, and there is no other.
    Unconfirmed {
        /// Ticks in a second.
        hertz: u64,
        /// The source.
        source: Source,
    },
    /// The sources contradict each other, and none of them has more on its side.
    Contradicted,
    /// There is no source.
    Unknown,
}

impl Rate {
    /// Ticks in a second, and the source that they are from; `None` where no rate can be given.
    #[must_use]
    pub const fn hertz(self) -> Option<(u64, Source)> {
        match self {
            Rate::Agreed { hertz, source } | Rate::Unconfirmed { hertz, source } => {
                Some((hertz, source))
            }
            Rate::Contradicted | Rate::Unknown => None,
        }
    }
}

/// Above this, in millionths, sources contradict each other. Linux takes 10 % for its worst ones; a crystal is good to 100
/// millionths, a clock with spread spectrum is off by 2,500, and counting is good to 4,000.
pub const AGREEMENT_PPM: u64 = 5_000;
/// How far CPUID 16H lies from the rate at most, in millionths: it is rounded to 100 MHz on many CPUs (FreeBSD, review D24426).
const ROUNDED_PPM: u64 = 10_000;

impl Frequencies {
    /// Notes what a source says. 0 is nothing.
    pub fn note(&mut self, source: Source, hertz: Option<u64>) {
        self.note_counted(
            source,
            hertz.map(|hertz| Counted {
                hertz,
                resolution: 1,
            }),
        );
    }

    /// Notes what counting against a source came to.
    pub fn note_counted(&mut self, source: Source, counted: Option<Counted>) {
        self.0[source as usize] = counted.filter(|counted| counted.hertz != 0);
    }

    /// What a source says.
    #[must_use]
    pub fn get(&self, source: Source) -> Option<u64> {
        self.0[source as usize].map(|counted| counted.hertz)
    }

    /// The same with every figure rounded to what counting it resolves: what a log says of them.
    #[must_use]
    pub fn rounded(&self) -> Self {
        Frequencies(self.0.map(|counted| {
            counted.map(|Counted { hertz, resolution }| Counted {
                hertz: (hertz + resolution / 2) / resolution * resolution,
                resolution,
            })
        }))
    }

    /// The witnesses, the most trusted first.
    fn witnesses(&self) -> impl Iterator<Item = (u64, Source)> + Clone {
        Source::ALL
            .into_iter()
            .filter(|source| source.is_witness())
            .filter_map(|source| Some((self.get(source)?, source)))
    }

    /// What they come to.
    ///
    /// Leaf 16H decides between sources of which none has another on its side, and serves alone only where there is nothing else.
    #[must_use]
    pub fn rate(&self) -> Rate {
        let mut witnesses = self.witnesses();
        let (Some((hertz, source)), second) = (witnesses.next(), witnesses.next()) else {
            return match self.get(Source::Cpuid16) {
                Some(hertz) => Rate::Unconfirmed {
                    hertz,
                    source: Source::Cpuid16,
                },
                None => Rate::Unknown,
            };
        };
        if second.is_none() {
            return Rate::Unconfirmed { hertz, source };
        }
        let supporters = |hertz: u64| {
            let agree = |&(other, _): &(u64, Source)| apart_ppm(other, hertz) <= AGREEMENT_PPM;
            self.witnesses().filter(agree).count()
        };
        let most = self.witnesses().map(|(hertz, _)| supporters(hertz)).max();
        let mut best = self
            .witnesses()
            .filter(|&(hertz, _)| Some(supporters(hertz)) == most)
            .filter(|&(hertz, _)| most > Some(1) || self.fits_cpuid_16h(hertz));
        let Some((hertz, source)) = best.next() else {
            return Rate::Contradicted;
        };
        // Another rate with as many on its side.
        if best.any(|(other, _)| apart_ppm(other, hertz) > 2 * AGREEMENT_PPM) {
            return Rate::Contradicted;
        }
        Rate::Agreed { hertz, source }
    }

    fn fits_cpuid_16h(&self, hertz: u64) -> bool {
        self.get(Source::Cpuid16)
            .is_some_and(|base| apart_ppm(base, hertz) <= ROUNDED_PPM)
    }

    /// The largest distance of a witness from the rate, or from the most trusted witness where there is no rate, in millionths. `None`
    /// where there are not two witnesses.
    #[must_use]
    pub fn disagreement_ppm(&self) -> Option<u64> {
        let (centre, _) = match self.rate() {
            Rate::Agreed { hertz, source } => (hertz, source),
            _ => self.witnesses().next()?,
        };
        let distances = self.witnesses().map(|(hertz, _)| apart_ppm(hertz, centre));
        distances.max().filter(|_| self.witnesses().count() > 1)
    }
}

/// How far `hertz` is from `centre`, in millionths of that.
fn apart_ppm(hertz: u64, centre: u64) -> u64 {
    let parts = u128::from(hertz.abs_diff(centre)) * 1_000_000 / u128::from(centre.max(1));
    u64::try_from(parts).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(sources: &[(Source, u64)]) -> Frequencies {
        let mut frequencies = Frequencies::default();
        for &(source, hertz) in sources {
            frequencies.note(source, Some(hertz));
        }
        frequencies
    }

    const MHZ: u64 = 1_000_000;

    #[test]
    fn the_most_trusted_of_those_that_agree_serves() {
        let desktop = of(&[
            (Source::Cpuid15, 2_995_200_000),
            (Source::Hpet, 2_995_190_000),
            (Source::PmTimer, 2_995_300_000),
            (Source::Pit, 2_995_000_000),
            (Source::Cpuid16, 3000 * MHZ),
        ]);
        let hertz = desktop.rate().hertz();
        assert_eq!(hertz, Some((2_995_200_000, Source::Cpuid15)));
        assert_eq!(desktop.disagreement_ppm(), Some(66));
    }

    /// The rounded number of MHz of CPUID 16H is far from the rate of these, and no fault.
    #[test]
    fn a_rounded_base_frequency_contradicts_nothing() {
        for (name, rate, base) in [
            ("N100", 806_400_000, 800),
            ("i7-8650U", 2_112_000_000, 2100),
            ("N4100", 1_094_400_000, 1100),
            ("i5-1240P", 1_689_600_000, 1700),
        ] {
            let machine = of(&[
                (Source::Cpuid15, rate),
                (Source::Hpet, rate + 20_000),
                (Source::Cpuid16, base * MHZ),
            ]);
            assert_eq!(
                machine.rate().hertz(),
                Some((rate, Source::Cpuid15)),
                "{name}"
            );
            assert!(machine.disagreement_ppm() <= Some(AGREEMENT_PPM), "{name}");
        }
    }

    #[test]
    fn one_source_that_is_far_off_is_outvoted_and_seen() {
        // Bochs's leaf 15H, and a PM timer that runs twice as fast.
        for (source, wrong) in [(Source::Cpuid15, 875 * 2000), (Source::PmTimer, 1000)] {
            let mut machine = of(&[
                (Source::Hpet, 2000 * MHZ),
                (Source::Pit, 2000 * MHZ + 1),
                (Source::PmTimer, 2000 * MHZ + 2),
            ]);
            machine.note(source, Some(wrong * MHZ));
            assert_eq!(machine.rate().hertz(), Some((2000 * MHZ, Source::Hpet)));
            assert!(machine.disagreement_ppm() > Some(AGREEMENT_PPM));
        }
    }

    #[test]
    fn what_a_count_does_not_resolve_is_rounded_off() {
        let mut machine = of(&[(Source::Cpuid15, 2_995_200_123)]);
        for (source, hertz, resolution) in [
            (Source::Hpet, 2_995_190_000, 50_000),
            (Source::Pit, 2_996_500_000, 5_000_000),
        ] {
            machine.note_counted(source, Some(Counted { hertz, resolution }));
        }
        let rounded = machine.rounded();
        let figures =
            [Source::Cpuid15, Source::Hpet, Source::Pit].map(|source| rounded.get(source));
        let expected = [2_995_200_123, 2_995_200_000, 2_995_000_000];
        assert_eq!(figures, expected.map(Some));
        assert_eq!(machine.get(Source::Pit), Some(2_996_500_000));
        assert_eq!(rounded.disagreement_ppm(), Some(66));
    }

    #[test]
    fn where_each_contradicts_the_other_no_rate_is_given() {
        let two = [(Source::PmTimer, 1000 * MHZ), (Source::Pit, 2000 * MHZ)];
        assert_eq!(of(&two).rate(), Rate::Contradicted);
        assert_eq!(of(&two).disagreement_ppm(), Some(1_000_000));
        // As many on one side as on the other.
        let four = of(&[
            (Source::Cpuid15, 1000 * MHZ),
            (Source::Hypervisor, 1000 * MHZ),
            (Source::Hpet, 2000 * MHZ),
            (Source::Pit, 2000 * MHZ),
        ]);
        assert_eq!(four.rate(), Rate::Contradicted);
        // The rounded base frequency decides between two, as it is with one of them.
        let decided = of(&[two[0], two[1], (Source::Cpuid16, 2010 * MHZ)]);
        assert_eq!(decided.rate().hertz(), Some((2000 * MHZ, Source::Pit)));
        assert!(decided.disagreement_ppm() > Some(AGREEMENT_PPM));
        let undecided = of(&[two[0], two[1], (Source::Cpuid16, 3000 * MHZ)]);
        assert_eq!(undecided.rate(), Rate::Contradicted);
    }

    #[test]
    fn what_stands_alone_is_unconfirmed() {
        for source in Source::ALL {
            let hertz = 2000 * MHZ;
            assert_eq!(
                of(&[(source, hertz)]).rate(),
                Rate::Unconfirmed { hertz, source }
            );
            assert_eq!(of(&[(source, hertz)]).disagreement_ppm(), None);
        }
        // Leaf 16H confirms nothing.
        let with_base = of(&[(Source::Pit, 2000 * MHZ), (Source::Cpuid16, 2000 * MHZ)]);
        let source = Source::Pit;
        assert_eq!(
            with_base.rate(),
            Rate::Unconfirmed {
                hertz: 2000 * MHZ,
                source
            }
        );
        assert_eq!(Frequencies::default().rate(), Rate::Unknown);
        assert_eq!(of(&[(Source::Pit, 0)]).rate(), Rate::Unknown);
    }
}
