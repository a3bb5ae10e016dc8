//! How CPUs are started, free of hardware: INIT, start-up interrupt, and a second one for those that need it (Intel SDM volume 3,
//! 9.4.4.1; MultiProcessor Specification, B.4).
//!
//! A CPU answers by claiming the place that is made ready for it, and then by saying that it has arrived. One that has not
//! claimed when time is up loses its place in the same step in which a late claim would fail, so that it can never run in a place
//! that was given to another; an INIT then makes it wait for a start-up interrupt that does not come.

use core::fmt;

/// Microseconds from INIT to the first start-up interrupt.
pub const AFTER_INIT: u32 = 10_000;
/// Microseconds that a CPU has to claim its place after the first start-up interrupt, until it gets a second one.
pub const AFTER_FIRST: u32 = 200;
/// Microseconds that it then has.
pub const AFTER_SECOND: u32 = 100_000;
/// Microseconds from its claim to its arrival.
pub const TO_ARRIVE: u32 = 1_000_000;
/// Microseconds between two looks.
const STEP: u32 = 10;

/// The number that a local APIC answers to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct ApicId(pub u32);

impl fmt::Display for ApicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What starting a CPU needs of the hardware.
pub trait StartUp {
    /// Sends INIT: the CPU stops whatever it does, and waits for a start-up interrupt.
    fn send_init(&mut self, cpu: ApicId);

    /// Sends the start-up interrupt.
    fn send_start_up(&mut self, cpu: ApicId);

    /// Whether a CPU has claimed the place that is ready.
    fn claimed(&mut self) -> bool;

    /// Takes the place back that is ready; `false` if a CPU has claimed it.
    fn take_back(&mut self) -> bool;

    /// Whether the CPU that claimed the place runs.
    fn arrived(&mut self) -> bool;

    /// Waits for so many microseconds.
    fn wait(&mut self, microseconds: u32);
}

/// A CPU was not started.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StartError {
    /// It does not answer. Its place is still ready, for another.
    Silent(ApicId),
    /// It answered, and was not heard of again. Its place is lost to it.
    Lost(ApicId),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Silent(cpu) => {
                write!(
                    f,
                    "the CPU with APIC id {cpu} does not answer, and is left out"
                )
            }
            StartError::Lost(cpu) => write!(
                f,
                "the CPU with APIC id {cpu} stopped while it was started, and is left out"
            ),
        }
    }
}

impl core::error::Error for StartError {}

/// Makes all of `cpus` wait for their start-up interrupts, at once.
pub fn reset(machine: &mut impl StartUp, cpus: &[ApicId]) {
    for &cpu in cpus {
        machine.send_init(cpu);
    }
    machine.wait(AFTER_INIT);
}

/// Starts one CPU that waits for it, in the place that is ready.
///
/// # Errors
///
/// It does not answer, or not to the end.
pub fn start(machine: &mut impl StartUp, cpu: ApicId) -> Result<(), StartError> {
    let mut claimed = false;
    for patience in [AFTER_FIRST, AFTER_SECOND] {
        machine.send_start_up(cpu);
        claimed = within(patience, machine, StartUp::claimed);
        if claimed {
            break;
        }
    }
    if !claimed && machine.take_back() {
        machine.send_init(cpu);
        return Err(StartError::Silent(cpu));
    }
    if within(TO_ARRIVE, machine, StartUp::arrived) {
        Ok(())
    } else {
        machine.send_init(cpu);
        Err(StartError::Lost(cpu))
    }
}

/// Looks again and again for so many microseconds.
fn within<M: StartUp>(microseconds: u32, machine: &mut M, look: fn(&mut M) -> bool) -> bool {
    for _ in 0..microseconds / STEP {
        if look(machine) {
            return true;
        }
        machine.wait(STEP);
    }
    look(machine)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    enum Sent {
        Init(u32),
        StartUp(u32),
    }

    /// How a CPU behaves, in microseconds after it could first know.
    #[derive(Clone, Copy)]
    struct Cpu {
        /// Deaf to the first so many start-up interrupts.
        deaf_to: u32,
        claims_after: u32,
        arrives_after: u32,
    }

    impl Cpu {
        const PROMPT: Cpu = Cpu {
            deaf_to: 0,
            claims_after: 5,
            arrives_after: 5,
        };
        const SILENT: Cpu = Cpu {
            deaf_to: u32::MAX,
            ..Self::PROMPT
        };
    }

    /// One CPU, and the place for it.
    struct Machine {
        cpu: Cpu,
        sent: Vec<Sent>,
        waits_for_start_up: bool,
        start_ups: u32,
        now: u64,
        claims_at: Option<u64>,
        arrives_at: Option<u64>,
        taken_back: bool,
        /// The CPU claims between the last look and the taking back.
        claims_at_the_last_moment: bool,
    }

    impl Machine {
        fn new(cpu: Cpu) -> Self {
            Machine {
                cpu,
                sent: Vec::new(),
                waits_for_start_up: false,
                start_ups: 0,
                now: 0,
                claims_at: None,
                arrives_at: None,
                taken_back: false,
                claims_at_the_last_moment: false,
            }
        }

        fn go_on(&mut self) {
            if self.claims_at.is_some_and(|at| at <= self.now) && !self.taken_back {
                let arrives = self.now + u64::from(self.cpu.arrives_after);
                self.arrives_at.get_or_insert(arrives);
            }
        }
    }

    impl StartUp for Machine {
        fn send_init(&mut self, cpu: ApicId) {
            self.sent.push(Sent::Init(cpu.0));
            self.waits_for_start_up = true;
            (self.claims_at, self.arrives_at) = (None, None);
        }

        fn send_start_up(&mut self, cpu: ApicId) {
            self.sent.push(Sent::StartUp(cpu.0));
            // A CPU that is not in that state takes no notice.
            if self.waits_for_start_up && self.start_ups >= self.cpu.deaf_to {
                self.waits_for_start_up = false;
                self.claims_at = Some(self.now + u64::from(self.cpu.claims_after));
            }
            self.start_ups += 1;
        }

        fn claimed(&mut self) -> bool {
            self.go_on();
            self.arrives_at.is_some()
        }

        fn take_back(&mut self) -> bool {
            if self.claims_at_the_last_moment {
                self.claims_at = Some(self.now);
            }
            self.go_on();
            self.taken_back = self.arrives_at.is_none();
            self.taken_back
        }

        fn arrived(&mut self) -> bool {
            self.arrives_at.is_some_and(|at| at <= self.now)
        }

        fn wait(&mut self, microseconds: u32) {
            self.now += u64::from(microseconds);
        }
    }

    const CPU: ApicId = ApicId(7);

    fn started(machine: &mut Machine) -> Result<(), StartError> {
        reset(machine, &[CPU]);
        assert!(
            machine.now >= u64::from(AFTER_INIT),
            "no time to reset itself"
        );
        start(machine, CPU)
    }

    #[test]
    fn a_prompt_cpu_gets_one_start_up_interrupt() {
        let mut machine = Machine::new(Cpu::PROMPT);
        assert_eq!(started(&mut machine), Ok(()));
        assert_eq!(machine.sent, [Sent::Init(7), Sent::StartUp(7)]);
    }

    #[test]
    fn one_that_missed_the_first_gets_a_second() {
        let mut machine = Machine::new(Cpu {
            deaf_to: 1,
            ..Cpu::PROMPT
        });
        assert_eq!(started(&mut machine), Ok(()));
        let sent = [Sent::Init(7), Sent::StartUp(7), Sent::StartUp(7)];
        assert_eq!(machine.sent, sent);
    }

    #[test]
    fn a_slow_one_is_waited_for() {
        let mut machine = Machine::new(Cpu {
            claims_after: AFTER_SECOND - 1,
            arrives_after: TO_ARRIVE - 1,
            ..Cpu::PROMPT
        });
        assert_eq!(started(&mut machine), Ok(()));
    }

    #[test]
    fn one_that_never_answers_is_left_waiting_and_can_take_no_place() {
        let mut machine = Machine::new(Cpu::SILENT);
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
        let longest = AFTER_INIT + AFTER_FIRST + AFTER_SECOND + 10 * STEP;
        assert!(machine.now <= u64::from(longest), "{} us", machine.now);
        assert!(machine.taken_back && machine.waits_for_start_up);
    }

    #[test]
    fn one_that_claims_at_the_last_moment_is_no_silent_one() {
        let mut machine = Machine::new(Cpu::SILENT);
        machine.claims_at_the_last_moment = true;
        assert_eq!(started(&mut machine), Ok(()));
        assert!(!machine.taken_back);
    }

    #[test]
    fn one_that_claims_and_does_not_arrive_is_lost_and_stopped() {
        let mut machine = Machine::new(Cpu {
            arrives_after: u32::MAX,
            ..Cpu::PROMPT
        });
        assert_eq!(started(&mut machine), Err(StartError::Lost(CPU)));
        assert_eq!(machine.sent.last(), Some(&Sent::Init(7)));
    }

    #[test]
    fn all_are_reset_at_once() {
        let mut machine = Machine::new(Cpu::PROMPT);
        reset(&mut machine, &[ApicId(1), ApicId(2), ApicId(5)]);
        assert_eq!(machine.sent, [1, 2, 5].map(Sent::Init));
        assert!(machine.now < 2 * u64::from(AFTER_INIT));
    }
}
