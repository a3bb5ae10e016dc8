//! Which CPUs answer: a number of them, or one at a distance.

use core::fmt;

use pagemark::console::log;
use pagemark::cpu::topology::Distance;
use pagemark::machine::Machine;
use pagemark::mm::shootdown::{CpuId, CpuMask};
use pagemark_record::{Notice, Record};

use crate::environment::topology::nearest;
use crate::harness::run::Run;

/// Some CPUs beside this one.
#[derive(Clone)]
pub enum Selection {
    /// The first ones, by their numbers.
    First(usize),
    /// The first one that is this far away.
    At(Distance, CpuId),
}

impl Selection {
    /// The CPUs.
    pub fn cpus(&self, machine: &Machine) -> CpuMask {
        match *self {
            Selection::First(count) => machine.processors.first(count),
            Selection::At(_, cpu) => CpuMask::EMPTY.with(cpu),
        }
    }
}

/// The value of `responders=`.
impl fmt::Display for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Selection::First(count) => count.fmt(f),
            Selection::At(distance, _) => f.write_str(distance.name()),
        }
    }
}

/// Why there is no CPU at a distance.
pub const NOBODY: &str = "no CPU of the run is known to be that far from the first one";

/// Numbers of responders to measure with: powers of two, and all that there are.
fn numbers(others: usize) -> impl Iterator<Item = usize> + Clone {
    (1..=others).filter(move |&number| number.is_power_of_two() || number == others)
}

/// What there is to select.
pub struct Selections {
    others: usize,
    nearest: [Option<CpuId>; Distance::ALL.len()],
}

impl Selections {
    /// Those of the CPUs that run.
    pub fn new(machine: &mut Machine) -> Self {
        Selections {
            others: machine.processors.count() - 1,
            nearest: nearest(machine),
        }
    }

    /// Whether there is a CPU beside this one.
    pub const fn is_empty(&self) -> bool {
        self.others == 0
    }

    /// One at each distance, where there is one.
    pub fn distances(&self) -> impl Iterator<Item = (Distance, Option<Selection>)> + Clone {
        let nearest = self.nearest;
        Distance::ALL
            .into_iter()
            .zip(nearest)
            .map(|(distance, cpu)| {
                let selection = cpu.map(|cpu| Selection::At(distance, cpu));
                (distance, selection)
            })
    }

    /// The other thread of this CPU's core; the first of several.
    pub fn sibling(&self) -> Option<CpuMask> {
        let [sibling, ..] = self.nearest;
        sibling.map(|cpu| CpuMask::EMPTY.with(cpu))
    }

    /// By number.
    pub fn numbers(&self) -> impl Iterator<Item = Selection> + Clone {
        numbers(self.others).map(Selection::First)
    }

    /// Notes in the log which CPUs each selection is.
    pub fn note(&self, machine: &Machine, run: &Run) {
        if !run.is_first_pass() {
            return;
        }
        let distances = self.distances().filter_map(|(_, selection)| selection);
        for selection in self.numbers().chain(distances) {
            let cpus = selection.cpus(machine);
            log::record(&Record::Notice(Notice {
                text: format_args!("responders={selection}: CPUs {}", Ranges(&cpus)).into(),
            }));
        }
    }
}

/// The numbers of CPUs, each run of them as its ends.
struct Ranges<'c>(&'c CpuMask);

impl fmt::Display for Ranges<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut numbers = self.0.into_iter().map(CpuId::number).peekable();
        let mut separator = "";
        while let Some(first) = numbers.next() {
            let mut last = first;
            while let Some(next) = numbers.next_if_eq(&(last + 1)) {
                last = next;
            }
            write!(f, "{separator}{first}")?;
            if last > first {
                write!(f, " to {last}")?;
            }
            separator = ", ";
        }
        Ok(())
    }
}
