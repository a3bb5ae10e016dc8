//! A case of a run: proof, warm-up, this pass's rounds, and the proof again; or, with `mutate=`, the proof put to the proof.

use core::fmt::Write;

use arrayvec::ArrayString;
use pagemark::boot::command_line::{Align, Mutate};
use pagemark::console::log;
use pagemark::cpu::invalidate::CAN_EVICT;
use pagemark_record::{Clock, Record, Skip};
use pagemark_verdict::frequency_moved;

use super::{Run, Tier};
use crate::environment::Witness;
use crate::harness::case::{Case, Failure};
use crate::harness::ledger::{MAX_NAME, Refused};
use crate::harness::mutation::{Outcome, mutate};
use crate::harness::reset::SETTLING;
use crate::harness::result::record_result;
use crate::harness::round;
use crate::harness::sample::{AnyCase, Temperature, count, prove, settle, warm_up};
use crate::harness::undisturbed::undisturbed;

impl Run {
    /// Measures a case, if the run wants it: proof, warm-up, samples, and the proof again.
    pub fn measure<C: Case>(&mut self, name: &str, case: &mut C) {
        self.measure_at(name, &mut AnyCase::new(case), Temperature::Hot);
    }

    /// Measures a case as [`measure`](Self::measure) does and, in the full suite, once more with nothing in the caches and
    /// TLBs when the operation begins, as `NAME/cold`. Instructions are as many as ever, so a clock that counts them has
    /// nothing to measure there.
    pub fn measure_hot_and_cold<C: Case>(&mut self, name: &str, case: &mut C) {
        self.measure(name, case);
        if self.timing.clock != Clock::Icount && self.mutate.is_none() {
            let mut cold = ArrayString::<MAX_NAME>::new();
            // The hot case reports a name that is too long.
            let _ = write!(cold, "{name}/cold");
            self.in_tier(Tier::Full, |run| {
                if !CAN_EVICT {
                    return run.skip(&cold, "emptying the caches and the TLB takes ring 0");
                }
                run.measure_at(&cold, &mut AnyCase::new(case), Temperature::Cold);
            });
        }
    }

    fn measure_at(&mut self, name: &str, case: &mut AnyCase<'_>, temperature: Temperature) {
        if !self.wants(name) {
            return;
        }
        if let Some(mutation) = self.mutate {
            return self.put_to_the_proof(name, case, mutation);
        }
        let outcome = self.prove_and_sample(name, case, temperature);
        if outcome.is_err() {
            self.check(name, outcome);
        } else if self.passes == 1 {
            self.record_case(name);
        }
    }

    /// This pass's rounds of a case.
    fn prove_and_sample(
        &mut self,
        name: &str,
        case: &mut AnyCase<'_>,
        temperature: Temperature,
    ) -> Result<(), Failure> {
        let stage = self.stage();
        let entry = self.ledger.entry(name).map_err(|refused| match refused {
            Refused::Full => Failure::new(format_args!("the ledger has no room for another case")),
            Refused::Name => Failure::new(format_args!("the name is too long")),
        })?;
        prove(case)?;
        let kept_before = self.pass.saturating_sub(1).saturating_mul(self.rounds) % self.course;
        let settling = self.reset.as_ref().map_or(0, |_| SETTLING);
        warm_up(case, round::ahead(kept_before) * (1 + settling))?;
        if entry.repeats == 0 {
            entry.repeats = round::repeats(case, temperature)?;
        }
        let repeats = entry.repeats;
        if let Some(pace) = &mut self.timing.pace {
            pace.look(&mut self.random);
        }
        let witness = self.witness.as_ref();
        let usual = witness.and_then(Witness::usual_rate);
        entry.class = case.class(temperature).0;
        for round in 0..self.rounds {
            if let Some(seconds) = self.progress.is_due() {
                stage.say(seconds, name);
            }
            if self.align == Align::Sweep {
                case.sweep(round + self.pass);
            }
            let core = witness.and_then(Witness::core);
            if let Some(reset) = &self.reset {
                reset.apply();
                settle(case, SETTLING)?;
            }
            let sample = undisturbed(case, temperature, repeats, witness, &mut entry.disturbances)?;
            let rate = witness.and_then(|witness| witness.rate_since(core));
            let moved = usual
                .zip(rate)
                .is_some_and(|(usual, now)| frequency_moved(usual, now));
            entry.disturbances.frequency += u32::from(moved);
            entry.push(sample, rate, &mut self.random);
            if let Some(mut meter) = witness.and_then(Witness::counting)
                && !entry.counts.is_full()
            {
                entry.counts.push(count(case, temperature, &mut meter)?);
            }
        }
        if let Some(pace) = &mut self.timing.pace {
            pace.look(&mut self.random);
        }
        prove(case)
    }

    /// Leaves something out of a case's operation, and expects the proof to notice.
    fn put_to_the_proof(&mut self, name: &str, case: &mut AnyCase<'_>, mutation: Mutate) {
        match mutate(case, mutation) {
            Ok(Outcome::Killed(failure)) => self.record_check(name.into(), true, failure.text()),
            Ok(Outcome::Survived) => {
                let text = format_args!("the proof holds without the {}", mutation.name());
                self.record_check(name.into(), false, Failure::new(text).text());
            }
            Ok(Outcome::Nothing(reason)) => log::record(&Record::Skip(Skip {
                case: name.into(),
                reason: reason.into(),
            })),
            Err(failure) => self.record_check(name.into(), false, failure.text()),
        }
    }

    fn record_case(&mut self, name: &str) {
        if let Ok(entry) = self.ledger.entry(name) {
            let overhead = self.overheads.of(entry.class);
            record_result(entry, overhead, &self.timing, self.witness.as_ref());
            self.progress.spoke();
        }
    }
}
