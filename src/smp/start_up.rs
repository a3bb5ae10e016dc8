//! How CPUs are started, free of hardware: INIT, start-up interrupt, and a second one for those that need it (Intel SDM volume 3,
//! 9.4.4.1; MultiProcessor Specification, B.4).
//!
//! A CPU answers by claiming the place that is made ready for it, shows life at a few points on its way from real mode to Rust,
//! and arrives. Each sign of life renews the time that it has for the next one: a CPU that a busy host runs rarely is slow, not
//! dead. One that has not claimed when its time is up loses its place in the same step in which a late claim would fail, so that
//! it never runs in a place that was given to another; an INIT then makes it wait for a start-up interrupt that does not come.
//!
//! # Time
//!
//! A look at the CPU counts for [`MOST_OF_A_LOOK`] at most, however late it comes. What takes the host away from all CPUs at once
//! stops this CPU's looks as well, so the time that counts is time in which this CPU ran. All CPUs that do not answer share one
//! budget, [`Starter::BUDGET`], beyond which each has [`LEAST_PATIENCE`]: a firmware that lists hundreds of CPUs that are not
//! there costs seconds.

use core::fmt;

/// Microseconds from INIT to the first start-up interrupt.
pub const AFTER_INIT: u32 = 10_000;
/// Microseconds that a CPU has to claim its place after the first start-up interrupt, until it gets a second one.
pub const AFTER_FIRST: u32 = 200;
/// Microseconds that a CPU has for its next sign of life, while the budget lasts.
pub const PATIENCE: u32 = 2_000_000;
/// Microseconds that it has when the budget is spent.
pub const LEAST_PATIENCE: u32 = 10_000;
/// Microseconds between two looks.
const STEP: u32 = 10;
/// Microseconds that one look counts for at most.
pub const MOST_OF_A_LOOK: u32 = 1_000;

/// The number that a local APIC answers to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct ApicId(pub u32);

impl fmt::Display for ApicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How far a CPU has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Progress {
    /// Nothing has been seen of it: the place is still ready.
    None,
    /// It has claimed the place, and passed this many points since.
    Alive(u32),
    /// It runs in the place.
    Arrived,
}

/// What starting a CPU needs of the hardware.
pub trait StartUp {
    /// Sends INIT: the CPU stops whatever it does, and waits for a start-up interrupt.
    fn send_init(&mut self, cpu: ApicId);

    /// Sends the start-up interrupt.
    fn send_start_up(&mut self, cpu: ApicId);

    /// How far the CPU has come for which the place is ready.
    fn progress(&mut self) -> Progress;

    /// Takes the place back that is ready; `false` if a CPU has claimed it.
    fn take_back(&mut self) -> bool;

    /// Waits for at least this many microseconds, and returns how many have passed.
    fn wait(&mut self, microseconds: u32) -> u32;
}

/// A CPU was not started.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StartError {
    /// It does not answer. Its place is still ready, for another.
    Silent(ApicId),
    /// It answered, and was not heard of again after this point. Its place is lost to it.
    Lost(ApicId, u32),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Silent(cpu) => write!(
                f,
                "the CPU with APIC id {cpu} does not answer, and is left out"
            ),
            StartError::Lost(cpu, point) => write!(
                f,
                "the CPU with APIC id {cpu} stopped at point {point} of its start, and is left out"
            ),
        }
    }
}

impl core::error::Error for StartError {}

/// Starts CPUs one after the other, and keeps the budget of time for those that do not answer.
#[derive(Debug)]
pub struct Starter {
    budget: u32,
}

impl Default for Starter {
    fn default() -> Self {
        Starter {
            budget: Self::BUDGET,
        }
    }
}

impl Starter {
    /// Microseconds for all CPUs that do not answer.
    pub const BUDGET: u32 = 6_000_000;

    /// Makes all of `cpus` wait for their start-up interrupts, at once.
    pub fn reset(machine: &mut impl StartUp, cpus: impl IntoIterator<Item = ApicId>) {
        for cpu in cpus {
            machine.send_init(cpu);
        }
        machine.wait(AFTER_INIT);
    }

    /// Starts one CPU that waits for it, in the place that is ready.
    ///
    /// # Errors
    ///
    /// It does not answer, or not to the end.
    pub fn start(&mut self, machine: &mut impl StartUp, cpu: ApicId) -> Result<(), StartError> {
        machine.send_start_up(cpu);
        let mut seen = change(machine, Progress::None, AFTER_FIRST);
        if seen == Progress::None {
            machine.send_start_up(cpu);
        }
        loop {
            if seen == Progress::Arrived {
                return Ok(());
            }
            let patience = PATIENCE.min(self.budget).max(LEAST_PATIENCE);
            let next = change(machine, seen, patience);
            if next != seen {
                seen = next;
                continue;
            }
            self.budget = self.budget.saturating_sub(patience);
            let error = match seen {
                // A CPU that claims at the last moment has shown life.
                Progress::None if !machine.take_back() => {
                    seen = Progress::Alive(0);
                    continue;
                }
                Progress::None => StartError::Silent(cpu),
                Progress::Alive(point) => StartError::Lost(cpu, point),
                Progress::Arrived => return Ok(()),
            };
            machine.send_init(cpu);
            return Err(error);
        }
    }
}

/// Looks until the progress is another one than `before`, for this many microseconds, and returns it.
fn change(machine: &mut impl StartUp, before: Progress, microseconds: u32) -> Progress {
    let mut passed = 0;
    loop {
        let progress = machine.progress();
        if progress != before || passed >= microseconds {
            return progress;
        }
        passed += machine.wait(STEP).clamp(1, MOST_OF_A_LOOK);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};
    use std::vec::Vec;

    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    enum Sent {
        Init(u32),
        StartUp(u32),
    }

    /// How a CPU behaves. Times are in microseconds of the machine.
    #[derive(Clone, Debug)]
    struct Cpu {
        /// Deaf to this many start-up interrupts.
        deaf_to: u32,
        claims_after: u64,
        /// From each sign of life to the next one, the last of which is the arrival.
        steps: Vec<u64>,
    }

    impl Cpu {
        fn prompt() -> Cpu {
            Cpu {
                deaf_to: 0,
                claims_after: 5,
                steps: [5; 4].into(),
            }
        }

        fn silent() -> Cpu {
            Cpu {
                deaf_to: u32::MAX,
                ..Self::prompt()
            }
        }
    }

    /// A CPU on its way: when it claims, and whether it has.
    #[derive(Clone, Default)]
    struct Running {
        waits_for_start_up: bool,
        start_ups: u32,
        claims_at: Option<u64>,
    }

    /// CPUs, and one place.
    #[derive(Default)]
    struct Machine {
        cpus: BTreeMap<u32, (Cpu, Running)>,
        /// Those that are on their way to a claim.
        under_way: BTreeSet<u32>,
        sent: Vec<Sent>,
        now: u64,
        /// Each wait takes this much longer: the host runs something else.
        late: u64,
        ready: bool,
        /// Who claimed the place, and when.
        claimed: Option<(u32, u64)>,
        /// The CPU claims between the last look and the taking back.
        claims_at_the_last_moment: bool,
    }

    impl Machine {
        fn of(cpus: impl IntoIterator<Item = (u32, Cpu)>) -> Self {
            let cpus = cpus.into_iter();
            Machine {
                cpus: cpus
                    .map(|(id, cpu)| (id, (cpu, Running::default())))
                    .collect(),
                ..Machine::default()
            }
        }

        fn one(cpu: Cpu) -> Self {
            Machine::of([(CPU.0, cpu)])
        }

        /// A CPU whose time has come finds the place ready, or stops.
        fn go_on(&mut self) {
            for id in self.under_way.clone() {
                let (_, running) = self.cpus.get_mut(&id).unwrap();
                if let Some(at) = running.claims_at.filter(|&at| at <= self.now) {
                    running.claims_at = None;
                    self.under_way.remove(&id);
                    if core::mem::take(&mut self.ready) {
                        self.claimed = Some((id, at));
                    }
                }
            }
        }

        fn make_ready(&mut self) {
            self.ready = true;
            self.claimed = None;
        }
    }

    impl StartUp for Machine {
        fn send_init(&mut self, cpu: ApicId) {
            self.sent.push(Sent::Init(cpu.0));
            if let Some((_, running)) = self.cpus.get_mut(&cpu.0) {
                running.waits_for_start_up = true;
                running.claims_at = None;
                self.under_way.remove(&cpu.0);
            }
        }

        fn send_start_up(&mut self, cpu: ApicId) {
            self.sent.push(Sent::StartUp(cpu.0));
            let id = cpu.0;
            let Some((cpu, running)) = self.cpus.get_mut(&id) else {
                return;
            };
            // A CPU that is not in that state takes no notice.
            if running.waits_for_start_up && running.start_ups >= cpu.deaf_to {
                running.waits_for_start_up = false;
                running.claims_at = Some(self.now + cpu.claims_after);
                self.under_way.insert(id);
            }
            running.start_ups += 1;
        }

        fn progress(&mut self) -> Progress {
            self.go_on();
            let Some((id, at)) = self.claimed else {
                return Progress::None;
            };
            let steps = &self.cpus[&id].0.steps;
            let mut at = at;
            let passed = steps.iter().take_while(|&&step| {
                at = at.saturating_add(step);
                at <= self.now
            });
            match passed.count() {
                points if points == steps.len() => Progress::Arrived,
                points => Progress::Alive(points as u32),
            }
        }

        fn take_back(&mut self) -> bool {
            if self.claims_at_the_last_moment {
                self.ready = false;
                self.claimed = Some((CPU.0, self.now));
            }
            core::mem::take(&mut self.ready)
        }

        fn wait(&mut self, microseconds: u32) -> u32 {
            let passed = u64::from(microseconds) + self.late;
            self.now += passed;
            passed as u32
        }
    }

    const CPU: ApicId = ApicId(7);

    fn started(machine: &mut Machine) -> Result<(), StartError> {
        Starter::reset(machine, [CPU]);
        assert!(
            machine.now >= u64::from(AFTER_INIT),
            "no time to reset itself"
        );
        machine.make_ready();
        Starter::default().start(machine, CPU)
    }

    #[test]
    fn a_prompt_cpu_gets_one_start_up_interrupt() {
        let mut machine = Machine::one(Cpu::prompt());
        assert_eq!(started(&mut machine), Ok(()));
        assert_eq!(machine.sent, [Sent::Init(7), Sent::StartUp(7)]);
    }

    #[test]
    fn one_that_missed_the_first_gets_a_second() {
        let mut machine = Machine::one(Cpu {
            deaf_to: 1,
            ..Cpu::prompt()
        });
        assert_eq!(started(&mut machine), Ok(()));
        let sent = [Sent::Init(7), Sent::StartUp(7), Sent::StartUp(7)];
        assert_eq!(machine.sent, sent);
    }

    #[test]
    fn a_slow_one_is_waited_for_as_long_as_it_shows_life() {
        let almost = u64::from(PATIENCE) - 1_000;
        let mut machine = Machine::one(Cpu {
            claims_after: almost,
            steps: [almost; 4].into(),
            ..Cpu::prompt()
        });
        assert_eq!(started(&mut machine), Ok(()));
        assert!(machine.now > 5 * almost);
    }

    #[test]
    fn one_that_never_answers_is_left_waiting_and_can_take_no_place() {
        let mut machine = Machine::one(Cpu::silent());
        assert_eq!(started(&mut machine), Err(StartError::Silent(CPU)));
        assert_eq!(
            machine.sent,
            [
                Sent::Init(7),
                Sent::StartUp(7),
                Sent::StartUp(7),
                Sent::Init(7)
            ]
        );
        let longest = AFTER_INIT + AFTER_FIRST + PATIENCE + 10 * STEP;
        assert!(machine.now <= u64::from(longest), "{} us", machine.now);
        assert!(!machine.ready && machine.cpus[&7].1.waits_for_start_up);
    }

    #[test]
    fn time_in_which_the_host_runs_something_else_does_not_count() {
        // The CPUs run for an instant every 100 ms.
        let mut machine = Machine::one(Cpu {
            claims_after: 40_000_000,
            steps: [40_000_000; 4].into(),
            ..Cpu::prompt()
        });
        machine.late = 100_000;
        assert_eq!(started(&mut machine), Ok(()));
        let mut machine = Machine::one(Cpu::silent());
        machine.late = 100_000;
        assert_eq!(started(&mut machine), Err(StartError::Silent(CPU)));
    }

    #[test]
    fn one_that_claims_at_the_last_moment_is_no_silent_one() {
        let mut machine = Machine::one(Cpu::silent());
        machine.claims_at_the_last_moment = true;
        assert_eq!(started(&mut machine), Ok(()));
    }

    #[test]
    fn one_that_claims_and_does_not_arrive_is_lost_and_stopped() {
        for reached in 0..4 {
            let mut steps = [5; 4];
            steps[reached] = u64::MAX;
            let mut machine = Machine::one(Cpu {
                steps: steps.into(),
                ..Cpu::prompt()
            });
            let lost = StartError::Lost(CPU, reached as u32);
            assert_eq!(started(&mut machine), Err(lost));
            assert_eq!(machine.sent.last(), Some(&Sent::Init(7)));
            assert!(machine.now < u64::from(2 * PATIENCE));
        }
    }

    #[test]
    fn all_are_reset_at_once() {
        let mut machine = Machine::one(Cpu::prompt());
        Starter::reset(&mut machine, [ApicId(1), ApicId(2), ApicId(5)]);
        assert_eq!(machine.sent, [1, 2, 5].map(Sent::Init));
        assert!(machine.now < 2 * u64::from(AFTER_INIT));
    }

    /// Starts all CPUs of a machine, and returns those that run.
    fn all_started(machine: &mut Machine) -> Vec<u32> {
        let ids: Vec<u32> = machine.cpus.keys().copied().collect();
        let mut starter = Starter::default();
        Starter::reset(machine, ids.iter().copied().map(ApicId));
        let mut running = Vec::new();
        for id in ids {
            machine.make_ready();
            if starter.start(machine, ApicId(id)).is_ok() {
                assert_eq!(machine.claimed.map(|(by, _)| by), Some(id), "not its place");
                running.push(id);
            }
        }
        running
    }

    #[test]
    fn hundreds_of_silent_cpus_cost_seconds_and_hide_no_other() {
        let kind = |id| match id % 4 {
            0 => Cpu::prompt(),
            _ => Cpu::silent(),
        };
        let mut machine = Machine::of((0..1024).map(|id| (id, kind(id))));
        let running = all_started(&mut machine);
        assert!(running.into_iter().eq((0..1024).step_by(4)));
        let longest = Starter::BUDGET + PATIENCE + 800 * LEAST_PATIENCE;
        assert!(machine.now < u64::from(longest), "{} us", machine.now);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 2 } else { 100 }))]

        /// Whatever the CPUs do: those run that show life in time, each in its own place, and it ends.
        #[test]
        fn those_run_that_show_life_in_time(
            cpus in proptest::collection::vec(
                (0..3u32, 0..3_000_000u64, proptest::collection::vec(0..3_000_000u64, 1..4)),
                1..6,
            ),
            late in 0..3_000u64,
        ) {
            let cpus = cpus.into_iter().map(|(deaf_to, claims_after, steps)| Cpu { deaf_to, claims_after, steps });
            let mut machine = Machine::of((1..).zip(cpus));
            machine.late = late;
            let running = all_started(&mut machine);
            for (&id, (cpu, _)) in &machine.cpus {
                let surely = u64::from(LEAST_PATIENCE);
                let slowest = cpu.steps.iter().copied().chain([cpu.claims_after]).max().unwrap_or(0);
                if cpu.deaf_to < 2 && slowest < surely / 2 {
                    prop_assert!(running.contains(&id), "{cpu:?}");
                }
                // A look of 10 us counts for as much, or for the longest that one counts for.
                let stretch = (u64::from(STEP) + late).div_ceil(u64::from(MOST_OF_A_LOOK));
                if cpu.deaf_to >= 2 || slowest > (u64::from(PATIENCE) + 2 * u64::from(MOST_OF_A_LOOK)) * (stretch + 1) {
                    prop_assert!(!running.contains(&id), "{cpu:?}");
                }
            }
        }
    }
}
