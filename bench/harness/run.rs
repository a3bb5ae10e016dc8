//! One run: takes the cases one after the other, proves each, samples it, sums it up, and writes it down.

use arrayvec::ArrayVec;
use pagemark::boot::command_line::{Filter, Options, Samples, Suite};
use pagemark::console::log;
use pagemark::cpu::tsc::Clock;
use pagemark_record::{CaseResult, Check, Error, Record, Skip, Text, Unit, Verdict};

use super::bracket;
use super::case::{Case, Failure};
use super::statistics::summarise;

/// Samples of each case in the quick suite.
const QUICK_SAMPLES: u32 = 101;
/// Samples of each case in the full suite.
const FULL_SAMPLES: u32 = 1001;
/// Calls before the first sample: caches, TLBs and tables are then as they stay.
const WARM_UP: u32 = 5;

type SampleMemory = ArrayVec<u64, { Samples::MAX as usize }>;

/// The memory for the samples of the running case, and for the empty brackets between them. It is written once at the start,
/// so that no sample pays for its first touch.
static mut SAMPLES: [SampleMemory; 2] = [const { ArrayVec::new_const() }; 2];

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
    /// The tier of the suite that runs.
    suite: Tier,
    /// The tier of the cases that come now.
    tier: Tier,
    /// Cases that the filter let pass, run or skipped.
    wanted: u32,
    count: u32,
    unit: Unit,
    verdict: Verdict,
    samples: &'static mut SampleMemory,
    empties: &'static mut SampleMemory,
}

impl Run {
    /// A run with these options on this clock.
    ///
    /// # Safety
    ///
    /// Called once: the run has the sample memory to itself.
    pub unsafe fn new(options: &Options, clock: Clock) -> Self {
        let count = options.samples.map_or(
            match options.suite {
                Suite::Full => FULL_SAMPLES,
                Suite::Quick | Suite::Probe => QUICK_SAMPLES,
            },
            |samples| samples.0,
        );
        let memory = &raw mut SAMPLES;
        // SAFETY: the caller's promise.
        let [samples, empties] = unsafe { &mut *memory };
        for memory in [&mut *samples, &mut *empties] {
            memory.extend((0..count).map(u64::from));
        }
        Run {
            only: options.only.clone(),
            suite: match options.suite {
                Suite::Quick | Suite::Probe => Tier::Quick,
                Suite::Full => Tier::Full,
            },
            tier: Tier::Quick,
            wanted: 0,
            count,
            unit: unit(clock),
            verdict: Verdict::Pass,
            samples,
            empties,
        }
    }

    /// How the run went so far.
    pub const fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// Writes down a proof. A failure fails the run.
    pub fn check<'a>(&mut self, name: impl Into<Text<'a>>, outcome: Result<(), Failure>) {
        let detail = outcome.as_ref().err().map_or("", Failure::text);
        log::record(&Record::Check(Check {
            name: name.into(),
            pass: outcome.is_ok(),
            detail: detail.into(),
        }));
        if outcome.is_err() {
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
        if self.wants(name) {
            log::record(&Record::Skip(Skip {
                case: name.into(),
                reason: reason.into(),
            }));
        }
    }

    /// Measures a case, if the run wants it: proof, warm-up, samples, and the proof again.
    pub fn measure<C: Case>(&mut self, name: &str, case: &mut C) {
        if !self.wants(name) {
            return;
        }
        let outcome = self.prove_and_sample(case);
        match &outcome {
            Ok(overhead) => {
                let overhead = *overhead;
                self.check(name, Ok(()));
                self.tell_result(name, overhead);
            }
            Err(_) => self.check(name, outcome.map(|_| ())),
        }
    }

    /// Ends the run: a filter that let no case pass is an error, as nobody asks for nothing.
    pub fn end(&mut self) {
        if let Some(filter) = &self.only
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

    /// Whether the suite has this case and the command line lets it run; counts those that do.
    fn wants(&mut self, name: &str) -> bool {
        let wanted = self.would(name);
        self.wanted += u32::from(wanted);
        wanted
    }

    /// Leaves the samples in their memory, and returns the cost of the empty bracket.
    fn prove_and_sample<C: Case>(&mut self, case: &mut C) -> Result<u64, Failure> {
        prove(case)?;
        for _ in 0..WARM_UP {
            sample(case)?;
        }
        self.samples.clear();
        self.empties.clear();
        // An empty bracket after each sample, so that both see the same machine.
        for _ in 0..self.count {
            self.samples.push(sample(case)?);
            self.empties.push(bracket::empty());
        }
        let overhead = summarise(self.empties).map_or(0, |empties| empties.median);
        for ticks in self.samples.iter_mut() {
            *ticks = ticks.saturating_sub(overhead);
        }
        prove(case)?;
        Ok(overhead)
    }

    fn tell_result(&mut self, name: &str, overhead: u64) {
        let Some(summary) = summarise(self.samples) else {
            return;
        };
        log::record(&Record::Result(CaseResult {
            case: name.into(),
            unit: self.unit,
            samples: u64::from(summary.samples),
            min: summary.min,
            median: summary.median,
            p99: summary.p99,
            max: summary.max,
            overhead,
        }));
    }
}

/// What figures on a clock count.
pub const fn unit(clock: Clock) -> Unit {
    match clock {
        Clock::Instructions => Unit::Insns,
        Clock::Ticks | Clock::Emulated => Unit::Ticks,
    }
}

/// The operation as the bracket calls it. Nobody else calls it, so that it is here that it is compiled, without another call.
///
/// # Safety
///
/// `state` is a `&mut C` that nobody else uses meanwhile.
#[inline(never)]
unsafe extern "C" fn operation<C: Case>(state: *mut ()) {
    // SAFETY: the caller's promise.
    unsafe { &mut *state.cast::<C>() }.operation();
}

/// One sample: only the operation lies inside the bracket.
fn sample<C: Case>(case: &mut C) -> Result<u64, Failure> {
    case.prepare()?;
    // SAFETY: `operation` gets the case that it is made for, and we hold it exclusively.
    let ticks = unsafe { bracket::ticks(operation::<C>, (&raw mut *case).cast()) };
    case.restore()?;
    Ok(ticks)
}

/// One operation with its proof, outside any bracket.
fn prove<C: Case>(case: &mut C) -> Result<(), Failure> {
    case.prepare()?;
    // SAFETY: as in `sample`.
    unsafe { operation::<C>((&raw mut *case).cast()) };
    let proof = case.verify();
    let restored = case.restore();
    proof.and(restored)
}
