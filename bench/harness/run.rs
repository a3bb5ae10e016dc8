//! One run: takes the cases one after the other, proves each, samples it, sums it up, and writes it down.

mod figures;
mod measure;

use pagemark::boot::command_line::{Align, Filter, Mutate, Options, Suite};
use pagemark::console::log;
use pagemark::cpu::tsc;
use pagemark_bracket::resolution::{overhead, step};
use pagemark_record::{Check, Clock, Error, Figure, Record, Skip, Tag, Text, Verdict};

use super::case::Failure;
use super::ledger::Ledger;
use super::overhead::Overheads;
use super::pace::{self, Pace};
use super::progress::{Progress, Stage};
use super::random::Random;
use super::reset::Reset;
use super::result::{Timing, record_result};
use crate::environment::Witness;

/// Rounds of the quick suite: enough for a 99 % interval of the median that leaves out the seven at each end. A process has more passes:
/// in each its memory lies elsewhere.
const QUICK_ROUNDS: u32 = if cfg!(target_os = "none") { 31 } else { 61 };
/// Rounds of the full suite.
const FULL_ROUNDS: u32 = 101;

/// How long the soak suite takes where nothing else is asked for.
const SOAK_SECONDS: u32 = 60;

/// Ticks a second for the soak suite's deadline, where they are not known.
const ASSUMED: u64 = 2_000_000_000;

/// In which suites a case is measured.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Tier {
    /// In every suite.
    Quick,
    /// In none but the full suite and those that are longer.
    Full,
}

/// What a run is asked for, and how it goes.
pub struct Run {
    only: Option<Filter>,
    mutate: Option<Mutate>,
    align: Align,
    /// The tier of the suite that runs.
    suite: Tier,
    /// The tier of the cases that come now.
    tier: Tier,
    /// Cases that the filter let pass, run or skipped.
    wanted: u32,
    /// Whether a pass began: a run that fails before has looked at no case.
    begun: bool,
    /// How often the cases are gone through, and how many rounds each time.
    passes: u32,
    rounds: u32,
    /// Rounds of all passes; of a run without an end as many as are kept.
    course: u32,
    /// The pass that runs, from 1; 0 before the first and after the last.
    pass: u32,
    timing: Timing,
    /// When a run that takes its time is over, in ticks of the clock.
    deadline: Option<u64>,
    /// Seconds that it takes, if it takes its time.
    limit: Option<u32>,
    progress: Progress,
    /// Who sees what strikes a sample.
    witness: Option<Witness>,
    /// What makes the state before each round the same.
    reset: Option<Reset>,
    verdict: Verdict,
    ledger: Ledger,
    overheads: Overheads,
    random: Random,
}

impl Run {
    /// A run with these options, which measures nothing before it knows its clock ([`Self::timed_by`]). What the cases yield goes to
    /// `ledger`, which is empty.
    pub fn new(options: &Options, ledger: Ledger) -> Self {
        Run {
            only: options.only.clone(),
            mutate: options.mutate,
            align: options.align,
            suite: match options.suite {
                Suite::Quick | Suite::Probe => Tier::Quick,
                Suite::Full | Suite::Soak => Tier::Full,
            },
            tier: Tier::Quick,
            wanted: 0,
            begun: false,
            passes: 0,
            rounds: 0,
            course: 1,
            pass: 0,
            timing: Timing::default(),
            deadline: None,
            limit: None,
            progress: Progress::SILENT,
            witness: None,
            reset: None,
            verdict: Verdict::Pass,
            ledger,
            overheads: Overheads::default(),
            random: Random::from_seed(options.seed.0),
        }
    }

    /// The clock, which moves in steps of `quantum` ticks, and with it the passes. `hertz` are its ticks a second where they are known and constant, `rate` as far as they
    /// are known at all: the soak suite goes by it.
    pub fn timed_by(
        &mut self,
        options: &Options,
        clock: Clock,
        quantum: u64,
        hertz: Option<u64>,
        rate: Option<u64>,
    ) {
        let seconds = match (options.suite, options.seconds) {
            (Suite::Soak, Some(seconds)) => Some(seconds.0),
            (Suite::Soak, None) => Some(SOAK_SECONDS),
            _ => None,
        };
        let rounds = match (options.rounds, self.suite) {
            (Some(rounds), _) => rounds.0,
            (None, Tier::Quick) => QUICK_ROUNDS,
            (None, Tier::Full) => FULL_ROUNDS,
        };
        self.passes = match (options.mutate, options.passes, clock) {
            // It is enough to put a proof to the proof once.
            (Some(_), ..) => 1,
            // Until the deadline; more than one means that results are recorded at the end.
            (None, ..) if seconds.is_some() => u32::MAX,
            (None, Some(passes), _) => passes.0.min(rounds),
            (None, None, Clock::Icount | Clock::Emulated) => 1,
            (None, None, Clock::Tsc) => rounds,
        };
        self.rounds = match seconds {
            Some(_) => 1,
            None => rounds.div_ceil(self.passes),
        };
        self.course = rounds;
        self.deadline = seconds.map(|seconds| {
            let ticks = u64::from(seconds).saturating_mul(rate.unwrap_or(ASSUMED));
            tsc::read().saturating_add(ticks)
        });
        self.limit = seconds;
        self.progress = Progress::begin(clock, rate.unwrap_or(ASSUMED));
        let few = self.passes < pace::PASSES && clock != Clock::Icount && self.mutate.is_none();
        self.timing = Timing {
            clock,
            quantum,
            hertz,
            pace: few.then(|| Pace::begin(&mut self.random)),
        };
    }

    /// Where it is in its passes.
    const fn stage(&self) -> Stage {
        Stage {
            pass: self.pass,
            passes: self.passes,
            limit: self.limit,
        }
    }

    /// Says where it is, if nothing was said for some seconds.
    pub fn is_at(&mut self, place: &str) {
        if let Some(seconds) = self.progress.is_due() {
            self.stage().say(seconds, place);
        }
    }

    /// How the run went so far.
    pub const fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// Has somebody look at every sample.
    pub fn watch(&mut self, witness: Witness) {
        self.witness = Some(witness);
    }

    /// Has the state before each round made the same.
    pub fn reset_by(&mut self, reset: Reset) {
        self.reset = Some(reset);
    }

    /// Ends the run before it began: it cannot be made as it was asked for.
    pub fn refuse(&mut self, message: &str) {
        log::record(&Record::Error(Error {
            message: message.into(),
        }));
        self.verdict = Verdict::Error;
    }

    /// Begins the next pass through the cases, if there is one to come. A run that has failed goes no further.
    pub fn next_pass(&mut self) -> bool {
        let in_time = self
            .deadline
            .is_none_or(|deadline| self.pass == 0 || tsc::read() < deadline);
        let more = self.pass < self.passes && in_time && self.verdict == Verdict::Pass;
        // What comes after the last pass comes once, and is recorded.
        self.pass = if more { self.pass + 1 } else { 0 };
        if more {
            self.begun = true;
            self.overheads.measure(self.timing.clock, self.passes);
        }
        if let (2, None, Some(seconds @ 1..)) = (self.pass, self.limit, self.progress.seconds()) {
            let (passes, all) = (self.passes, seconds * u64::from(self.passes));
            log::line(format_args!(
                "the first pass took {seconds} s: {passes} of them take about {all} s"
            ));
        }
        more
    }

    /// Holds what the harness cost beside each case against what it costs: it is the same for all cases, or the figures of those where
    /// it is not are off by the difference. On a clock that counts instructions that is a check, on hardware's a tag; an emulator's
    /// time is not looked at.
    fn check_overheads(&mut self) {
        let Timing { clock, quantum, .. } = self.timing;
        if clock == Clock::Emulated || self.align == Align::Sweep {
            return;
        }
        let mut off = 0_u32;
        let mut worst: Option<(Figure, Failure)> = None;
        for entry in self.ledger.entries().filter(|entry| entry.taken > 0) {
            let usual = self.overheads.of(entry.class);
            let mut empties = entry.empties.clone();
            empties.sort_unstable();
            let found = overhead(&empties);
            let distance = found.max(usual).less(found.min(usual));
            let allowed = match clock {
                Clock::Icount => Figure::default(),
                _ => step(quantum, entry.shares())
                    .max(Figure::from_thousandths(usual.thousandths() / 10)),
            };
            if distance > allowed {
                off += 1;
                if worst.as_ref().is_none_or(|(most, _)| *most < distance) {
                    let text = format_args!("{} had {found}, usual is {usual}", entry.name);
                    worst = Some((distance, Failure::new(text)));
                }
            }
        }
        match (clock, worst) {
            (Clock::Icount, worst) => {
                let outcome = worst.map_or(Ok(()), |(_, failure)| Err(failure));
                self.check("overhead/constant", outcome);
            }
            (_, Some((_, failure))) => log::record(&Record::Tag(Tag {
                tag: "overhead_varies".into(),
                reason: format_args!("at {off} cases; at most: {}", failure.text()).into(),
            })),
            (_, None) => {}
        }
    }

    /// Whether this is the first pass, which records what is the same in all of them.
    pub const fn is_first_pass(&self) -> bool {
        self.pass <= 1
    }

    /// The pass that runs, from 1.
    #[cfg(not(target_os = "none"))]
    pub const fn pass(&self) -> u32 {
        self.pass
    }

    /// Numbers that look random.
    #[cfg(not(target_os = "none"))]
    pub const fn random(&mut self) -> &mut Random {
        &mut self.random
    }

    /// Puts things into the order in which this pass takes them: the first as they are written down, the others at random.
    pub fn order<T>(&mut self, things: &mut [T]) {
        if self.pass > 1 {
            self.random.shuffle(things);
        }
    }

    /// Writes down a proof; one that held only the first time. A failure fails the run.
    pub fn check<'a>(&mut self, name: impl Into<Text<'a>>, outcome: Result<(), Failure>) {
        let detail = outcome.as_ref().err().map_or("", Failure::text);
        if self.pass <= 1 || outcome.is_err() {
            self.record_check(name.into(), outcome.is_ok(), detail);
        }
    }

    #[inline(never)]
    fn record_check(&mut self, name: Text<'_>, pass: bool, detail: &str) {
        log::record(&Record::Check(Check {
            name,
            pass,
            detail: detail.into(),
        }));
        if !pass {
            self.verdict = Verdict::Fail;
        }
    }

    /// The cases that `cases` measures or skips belong to this tier.
    pub fn in_tier<T>(&mut self, tier: Tier, cases: impl FnOnce(&mut Self) -> T) -> T {
        let around = core::mem::replace(&mut self.tier, tier);
        let result = cases(self);
        self.tier = around;
        result
    }

    /// Writes down that a case cannot run here.
    pub fn skip(&mut self, name: &str, reason: &str) {
        if self.wants(name) && self.pass <= 1 {
            log::record(&Record::Skip(Skip {
                case: name.into(),
                reason: reason.into(),
            }));
        }
    }

    /// Writes down that no case of a group, `GROUP/...`, can run here.
    #[cfg(not(target_os = "none"))]
    pub fn skip_group(&mut self, group: &str, reason: &str) {
        let wanted = self.would_some(group);
        self.wanted += u32::from(wanted);
        if wanted && self.pass <= 1 {
            log::record(&Record::Skip(Skip {
                case: format_args!("{group}/*").into(),
                reason: reason.into(),
            }));
        }
    }

    /// Ends the run: writes down what is not yet. A filter that let no case pass is an error, as nobody asks for nothing.
    pub fn end(&mut self) {
        if self.passes > 1 && self.verdict == Verdict::Pass {
            for entry in self.ledger.entries() {
                let overhead = self.overheads.of(entry.class);
                record_result(entry, overhead, &self.timing, self.witness.as_ref());
            }
        }
        self.check_overheads();
        if let Some(witness) = self.witness.take() {
            witness.end();
        }
        if let Some(filter) = &self.only
            && self.begun
            && self.wanted == 0
        {
            log::record(&Record::Error(Error {
                message: format_args!(
                    "command line: `only={filter}` matches no case of this suite"
                )
                .into(),
            }));
            self.verdict = Verdict::Error;
        }
    }

    /// Whether the suite has this case and the command line lets it run, for cases that take much to get ready for.
    pub fn would(&self, name: &str) -> bool {
        self.tier <= self.suite && self.only.as_ref().is_none_or(|filter| filter.matches(name))
    }

    /// Whether the suite has the cases of a group, `GROUP/...`, and the command line lets some of them run.
    pub fn would_some(&self, group: &str) -> bool {
        let may_match = |filter: &Filter| filter.may_match_below(group);
        self.tier <= self.suite && self.only.as_ref().is_none_or(may_match)
    }

    /// Whether the suite has this case and the command line lets it run; counts those that do.
    fn wants(&mut self, name: &str) -> bool {
        let wanted = self.would(name);
        self.wanted += u32::from(wanted);
        wanted
    }
}
