//! Ticks of the time-stamp counter in a second, by every source that there is, and whether they agree.

/// Where a frequency is from, the most trusted first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Source {
    /// CPUID leaf 15H: crystal frequency and ratio.
    Cpuid15,
    /// The hypervisor's leaf 4000_0010H.
    Hypervisor,
    /// Counted against the high-precision event timer.
    Hpet,
    /// Counted against the ACPI power-management timer.
    PmTimer,
    /// Counted against the programmable interval timer.
    Pit,
    /// CPUID leaf 16H: the base frequency, to the MHz.
    Cpuid16,
}

impl Source {
    /// Each of them, in order of trust.
    pub const ALL: [Source; 6] = [
        Source::Cpuid15,
        Source::Hypervisor,
        Source::Hpet,
        Source::PmTimer,
        Source::Pit,
        Source::Cpuid16,
    ];

    /// The name in logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Source::Cpuid15 => "cpuid 15h",
            Source::Hypervisor => "hypervisor leaf",
            Source::Hpet => "hpet",
            Source::PmTimer => "pm timer",
            Source::Pit => "pit",
            Source::Cpuid16 => "cpuid 16h",
        }
    }
}

/// What the sources say, in hertz; absent ones say nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Frequencies([Option<u64>; Source::ALL.len()]);

impl Frequencies {
    /// Notes what a source says. 0 is nothing.
    pub fn note(&mut self, source: Source, hertz: Option<u64>) {
        self.0[source as usize] = hertz.filter(|&hertz| hertz != 0);
    }

    /// What a source says.
    #[must_use]
    pub const fn get(&self, source: Source) -> Option<u64> {
        self.0[source as usize]
    }

    /// What the most trusted source that is there says.
    #[must_use]
    pub fn best(&self) -> Option<(u64, Source)> {
        Source::ALL
            .iter()
            .find_map(|&source| Some((self.get(source)?, source)))
    }
}

/// Above this, in millionths, sources contradict each other. Linux takes 10 % for its worst ones; a crystal is good to 100
/// millionths, and counting over a millisecond against the slowest timer to 1,000.
pub const AGREEMENT_PPM: u64 = 5_000;

/// How far the sources are apart: the largest distance from the most trusted one, in millionths of it. `None` where there are
/// not two.
#[must_use]
pub fn disagreement_ppm(frequencies: &Frequencies) -> Option<u64> {
    let (best, source) = frequencies.best()?;
    Source::ALL
        .iter()
        .filter(|&&other| other != source)
        .filter_map(|&other| frequencies.get(other))
        .map(|hertz| parts_per_million(hertz.abs_diff(best), best))
        .max()
}

fn parts_per_million(part: u64, whole: u64) -> u64 {
    let parts = u128::from(part) * 1_000_000 / u128::from(whole);
    u64::try_from(parts).unwrap_or(u64::MAX)
}

/// CPUID leaf 15H as it was read, and what it may have to be completed by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cpuid15 {
    /// EAX: denominator of the ratio of TSC and crystal.
    pub denominator: u32,
    /// EBX: its numerator.
    pub numerator: u32,
    /// ECX: the crystal's frequency in hertz, 0 where the CPU does not say.
    pub crystal: u32,
    /// Model of a CPU of Intel's family 6; none of another.
    pub family_6_model: Option<u8>,
    /// CPUID leaf 16H EAX: the base frequency in MHz, 0 where there is none.
    pub base_megahertz: u32,
}

/// The TSC's frequency by CPUID leaf 15H (Intel SDM volume 3, 20.7.3): crystal × numerator / denominator.
///
/// Where the crystal is not told, it is the one of the model as the SDM lists it, else it follows from the base frequency.
#[must_use]
pub fn cpuid_15h(leaf: Cpuid15) -> Option<u64> {
    if leaf.denominator == 0 || leaf.numerator == 0 {
        return None;
    }
    let (numerator, denominator) = (u64::from(leaf.numerator), u64::from(leaf.denominator));
    let known = match (leaf.crystal, leaf.family_6_model) {
        (0, Some(0x4e | 0x5e | 0x8e | 0x9e | 0xa5 | 0xa6)) => 24_000_000,
        (0, Some(0x55 | 0x5f)) => 25_000_000,
        (0, Some(0x5c)) => 19_200_000,
        (0, _) => {
            return Some(u64::from(leaf.base_megahertz) * 1_000_000).filter(|&hertz| hertz != 0);
        }
        (crystal, _) => u64::from(crystal),
    };
    Some(known * numerator / denominator)
}

/// One reading of a timer between two of the TSC.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stamp {
    /// The TSC before.
    pub before: u64,
    /// The TSC after.
    pub after: u64,
    /// The timer.
    pub timer: u64,
}

impl Stamp {
    /// Ticks that reading the timer took: how uncertain its moment is.
    #[must_use]
    pub const fn uncertainty(&self) -> u64 {
        self.after - self.before
    }

    const fn moment(&self) -> u64 {
        self.before + self.uncertainty() / 2
    }
}

/// The TSC's frequency between two stamps of a timer that runs at `timer_hertz` and wraps behind `mask`.
///
/// `None` where the timer did not move, or where the moments are too uncertain for a figure: by more than a part in 500 of
/// what passed, as after a system-management interrupt.
#[must_use]
pub fn hertz(begin: Stamp, end: Stamp, timer_hertz: u64, mask: u64) -> Option<u64> {
    let passed = end.timer.wrapping_sub(begin.timer) & mask;
    let ticks = end.moment().checked_sub(begin.moment())?;
    let uncertain = begin.uncertainty() + end.uncertainty();
    if passed == 0 || ticks == 0 || uncertain > ticks / 500 {
        return None;
    }
    let hertz = u128::from(ticks) * u128::from(timer_hertz) / u128::from(passed);
    u64::try_from(hertz).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAF: Cpuid15 = Cpuid15 {
        denominator: 2,
        numerator: 216,
        crystal: 0,
        family_6_model: None,
        base_megahertz: 0,
    };

    #[test]
    fn cpuid_15h_as_real_cpus_fill_it() {
        // Ice Lake tells its crystal of 38.4 MHz: 2.1888 GHz with 114 / 2.
        let told = Cpuid15 {
            numerator: 114,
            crystal: 38_400_000,
            ..LEAF
        };
        assert_eq!(cpuid_15h(told), Some(2_188_800_000));
        // Skylake does not: 24 MHz × 216 / 2.
        let skylake = Cpuid15 {
            family_6_model: Some(0x5e),
            ..LEAF
        };
        assert_eq!(cpuid_15h(skylake), Some(2_592_000_000));
        let server = Cpuid15 {
            numerator: 168,
            family_6_model: Some(0x55),
            ..LEAF
        };
        assert_eq!(cpuid_15h(server), Some(2_100_000_000));
        let goldmont = Cpuid15 {
            denominator: 3,
            numerator: 171,
            family_6_model: Some(0x5c),
            ..LEAF
        };
        assert_eq!(cpuid_15h(goldmont), Some(1_094_400_000));
        // An unknown model has its base frequency.
        let unknown = Cpuid15 {
            base_megahertz: 2600,
            ..LEAF
        };
        assert_eq!(cpuid_15h(unknown), Some(2_600_000_000));
        assert_eq!(cpuid_15h(LEAF), None);
        // AMD's leaf is all zeros.
        let zeros = Cpuid15 {
            denominator: 0,
            numerator: 0,
            ..LEAF
        };
        assert_eq!(cpuid_15h(zeros), None);
    }

    fn stamp(before: u64, timer: u64, took: u64) -> Stamp {
        Stamp {
            before,
            after: before + took,
            timer,
        }
    }

    #[test]
    fn counting_against_a_timer() {
        // A 24-bit timer at 3.579545 MHz that wraps, over 10 ms of a 2.2 GHz TSC.
        let (begin, end) = (
            stamp(1000, 0xff_fff0, 2000),
            stamp(22_001_000, 35_779, 2000),
        );
        let hertz_found = hertz(begin, end, 3_579_545, 0xff_ffff).unwrap();
        assert!(
            hertz_found.abs_diff(2_200_000_000) < 220_000,
            "{hertz_found}"
        );
        // An SMI of 100 µs within a reading makes it worthless.
        let struck = stamp(22_001_000, 35_779, 220_000);
        assert_eq!(hertz(begin, struck, 3_579_545, 0xff_ffff), None);
        // A timer that stands still, as where nothing decodes the port.
        let still = stamp(22_001_000, 0xff_fff0, 2000);
        assert_eq!(hertz(begin, still, 3_579_545, 0xff_ffff), None);
    }

    #[test]
    fn the_most_trusted_source_serves_and_the_others_are_held_against_it() {
        let mut frequencies = Frequencies::default();
        assert_eq!(frequencies.best(), None);
        frequencies.note(Source::Pit, Some(1_990_000_000));
        assert_eq!(frequencies.best(), Some((1_990_000_000, Source::Pit)));
        assert_eq!(disagreement_ppm(&frequencies), None);
        frequencies.note(Source::Hpet, Some(2_000_000_000));
        frequencies.note(Source::Cpuid15, Some(0));
        assert_eq!(frequencies.best(), Some((2_000_000_000, Source::Hpet)));
        assert_eq!(disagreement_ppm(&frequencies), Some(5_000));
    }
}
