//! What a run measures and proves, case by case, and what follows from the cases.

#[cfg(feature = "read")]
use serde::Deserialize;
use serde::Serialize;

use super::Unit;
use crate::Figure;

/// What the figure of a case is a figure of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "read", derive(Deserialize))]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// Operations of which each needs the result of the one before: the time from an operation's input to its result.
    Latency,
    /// Operations that follow on each other and that the CPU may overlap: the time that each adds.
    Throughput,
    /// One operation in a bracket of its own, as it can be done only once in the state that it needs.
    Single,
}

impl Class {
    /// The name that the log uses.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Latency => "latency",
            Self::Throughput => "throughput",
            Self::Single => "single",
        }
    }
}

impl core::fmt::Display for Class {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What one case measured, what the harness itself costs already subtracted. A case has a result only if its proofs held.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "read", derive(Deserialize))]
pub struct CaseResult<T> {
    /// The case ([`crate::is_case_name`]), unique in its log.
    pub case: T,
    /// What the figures count.
    pub unit: Unit,
    /// What they are figures of; absent in logs of version 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<Class>,
    /// The smallest figure of this case that differs from zero, in its unit. A figure below it says "less than that", and
    /// nothing more. Absent in logs of version 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolution: Option<Figure>,
    /// How many samples they sum up: one a round.
    pub samples: u64,
    /// The smallest.
    pub min: Figure,
    /// The one that a quarter does not exceed.
    pub p25: Figure,
    /// The middle one.
    pub median: Figure,
    /// The one that three quarters do not exceed.
    pub p75: Figure,
    /// The one that 99 % do not exceed.
    pub p99: Figure,
    /// The largest.
    pub max: Figure,
    /// The bounds of the median, exact for every distribution: with `n` samples the probability is that of
    /// `pagemark_statistics::interval`.
    pub interval: [Figure; 2],
    /// What the harness costs, an operation: it was subtracted from each sample.
    pub overhead: Figure,
    /// Operations in a sample. With 1 a sample is one bracket around one operation; with N > 1 it is the slope between N and 2N
    /// operations.
    pub batch: u32,
    /// The median in nanoseconds, where the clock's rate is known and constant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ns: Option<Figure>,
    /// The median in core cycles: counted where there are counters ([`Counts`]), else converted by the core's rate during the case, where
    /// that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cycles: Option<Figure>,
    /// What else the core counted.
    #[serde(default, skip_serializing_if = "Counts::none")]
    pub counts: Counts,
    /// What struck samples, by cause.
    #[serde(default, skip_serializing_if = "Disturbances::none")]
    pub disturbances: Disturbances,
    /// Every sample, in the order in which they were taken ([`crate::Series`]).
    pub rounds: T,
}

impl<T> CaseResult<T> {
    /// The larger of `figure` and the resolution, for readers that take a number only.
    #[must_use]
    pub fn at_least_resolution(&self, figure: Figure) -> Figure {
        figure.max(self.resolution.unwrap_or(figure))
    }

    /// Whether `figure`, in the unit of this result, lies below what it resolves.
    #[must_use]
    pub fn is_below_resolution(&self, figure: Figure) -> bool {
        self.resolution
            .is_some_and(|resolution| figure < resolution)
    }

    /// A result all of whose samples are equal.
    pub fn of_equal(case: T, unit: Unit, figure: Figure, samples: u64, rounds: T) -> Self {
        Self {
            case,
            unit,
            class: None,
            resolution: None,
            samples,
            min: figure,
            p25: figure,
            median: figure,
            p75: figure,
            p99: figure,
            max: figure,
            interval: [figure; 2],
            overhead: Figure::default(),
            batch: 1,
            ns: None,
            cycles: None,
            counts: Counts::default(),
            disturbances: Disturbances::default(),
            rounds,
        }
    }
}

/// What the core's counters counted of one operation, what the harness itself costs already subtracted. Each is the median of some samples
/// beside those that are timed, as reading the counters would be part of these.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "read", derive(Deserialize))]
#[serde(default)]
pub struct Counts {
    /// Instructions that were retired.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instructions: Option<Figure>,
    /// Page walks for loads that were completed, those of speculation among them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load_walks: Option<Figure>,
    /// The same for stores.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store_walks: Option<Figure>,
    /// The same for both, where the CPU does not count them apart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub walks: Option<Figure>,
    /// Cycles of walks for loads and stores, summed up over the walks under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub walk_cycles: Option<Figure>,
}

impl Counts {
    /// Nothing was counted.
    #[must_use]
    pub fn none(&self) -> bool {
        *self == Self::default()
    }

    /// Page walks for data.
    #[must_use]
    pub fn all_walks(&self) -> Option<Figure> {
        let apart = self.load_walks.zip(self.store_walks);
        let sum = |(load, store): (Figure, Figure)| load.less(Figure::default().less(store));
        self.walks.or(apart.map(sum))
    }
}

/// How many of a case's samples something struck from outside. Samples that a system-management interrupt, the hypervisor
/// or the kernel of a process struck were taken again; all others are among the figures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "read", derive(Deserialize))]
pub struct Disturbances {
    /// By a system-management interrupt, as the CPU's counter of them says.
    pub smi: u32,
    /// By the hypervisor, which ran something else meanwhile, as its steal time says.
    pub steal: u32,
    /// By a change of the core's clock rate.
    pub frequency: u32,
    /// By something unknown: they lie far above the others.
    pub unknown: u32,
    /// Of a process: by the kernel, which ran something else on the core meanwhile.
    #[cfg(not(target_os = "none"))]
    #[serde(default, skip_serializing_if = "is_zero")]
    pub preempted: u32,
    /// Of a process: by the kernel, which moved the thread to another core.
    #[cfg(not(target_os = "none"))]
    #[serde(default, skip_serializing_if = "is_zero")]
    pub migrated: u32,
}

#[cfg(not(target_os = "none"))]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

impl Disturbances {
    /// Whether nothing struck.
    pub fn none(&self) -> bool {
        *self == Self::default()
    }
}

/// A case that did not run here.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "read", derive(Deserialize))]
pub struct Skip<T> {
    /// The case.
    pub case: T,
    /// Why: a feature that the CPU lacks, too little memory.
    pub reason: T,
}

/// A proof, outside every timing window, that an operation did what it claims.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "read", derive(Deserialize))]
pub struct Check<T> {
    /// What was checked; for a case's own check the case's name.
    pub name: T,
    /// Whether it held.
    pub pass: bool,
    /// What was seen; may be empty when it held.
    pub detail: T,
}

/// The way from the image's entry to the first sample.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "read", derive(Deserialize))]
pub struct Boot {
    /// How long it took, without looking for a serial port and sending it the log: that differs where the log comes by the screen.
    pub ticks: u64,
    /// In which unit.
    pub unit: Unit,
}

/// Whose translations a flush drops.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "read", derive(Deserialize))]
#[serde(rename_all = "lowercase")]
pub enum Translations {
    /// Global ones, as a kernel has them: INVLPG against what drops global ones, too.
    Kernel,
    /// Others: INVLPG against a reload of CR3.
    User,
}

/// From how many pages on dropping the whole TLB is cheaper than dropping page by page, the use of a working set afterwards included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "read", derive(Deserialize))]
pub struct Crossover {
    /// Whose translations. Absent in logs of version 2, where the pages that were dropped were touched again, and nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub translations: Option<Translations>,
    /// Translations that were used afterwards, and that dropping the whole TLB loses, too. Absent in logs of version 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub working_set: Option<u64>,
    /// From that many pages on; none if page by page was the cheaper way at the largest number that was measured.
    pub pages: Option<u64>,
    /// At least that many, by the intervals of the medians; none if page by page is the cheaper way at the largest number anyway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub low: Option<u64>,
    /// At most that many; none if it may be more than were measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub high: Option<u64>,
    /// Linux's `tlb_single_page_flush_ceiling`: at more pages than that it drops the whole.
    pub linux: u64,
    /// The ceiling of this run.
    pub ceiling: u64,
    /// The most pages that were measured.
    pub largest: u64,
}

/// What follows from the crossovers for a ceiling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "read", derive(Deserialize))]
#[serde(rename_all = "lowercase")]
pub enum AdviceKind {
    /// It is too low beside every working set.
    Raise,
    /// It is too high beside every working set.
    Lower,
    /// It lies within the bounds beside every working set.
    Keep,
    /// It is too low beside some and too high beside others: no one ceiling is right.
    Depends,
    /// The intervals are too wide.
    Undecided,
    /// The clock's figures are not those of a TLB.
    Unknown,
}

/// The advice on Linux's ceiling, by the crossovers beside working sets of 64 translations and more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "read", derive(Deserialize))]
pub struct Advice {
    /// Whose translations.
    pub translations: Translations,
    /// The advice.
    pub advice: AdviceKind,
    /// The ceiling to raise or lower it to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pages: Option<u64>,
    /// The ceiling that it is about.
    pub linux: u64,
}

/// All that the suite `probe` measures: whether the guest's instructions run on the CPU or in somebody's interpreter.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "read", derive(Deserialize))]
pub struct Probe {
    /// Ticks that a block of 1,000 NOPs took, the empty bracket subtracted.
    pub ticks_per_1000_nops: u64,
    /// Ticks that 1,000 additions took, each to the result of the one before: as many core cycles on every CPU.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticks_per_1000_additions: Option<u64>,
    /// Ticks that a CPUID took, which every hypervisor traps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticks_per_cpuid: Option<u64>,
}
