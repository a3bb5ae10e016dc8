//! How long a flush on several CPUs takes: to the initiator, and until the last responder is back at what it did.

use core::fmt::Write;

use arrayvec::ArrayString;
use pagemark::cpu::direct_map::DirectMap;
use pagemark::kernel::Kernel;
use pagemark::machine::Machine;
use pagemark::mm::address::{PAGE_SIZE, PageSize, VirtAddr};
use pagemark::mm::shootdown::{CpuId, Protocol, Shootdown};
use pagemark::mm::tlb::{PendingFlush, Tlb};
use pagemark::smp::tlbs::AllCpus;
use pagemark::smp::work::Online;

use super::ALONE;
use super::pages::Pages;
use super::responders::{Responders, State};
use super::selection::{NOBODY, Selection, Selections};
use crate::harness::case::{Case, Failure, expect_eq};
use crate::harness::mutation::perform;
use crate::harness::run::Run;

const PAGES: [usize; 4] = [1, 8, 33, 512];
/// What the two frames hold.
const MARKS: [u64; 2] = [0x7368_6f6f_7400_0000, 0x7368_6f6f_7400_0001];

/// When the operation is over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Until {
    /// The initiator goes on: all have flushed.
    Initiator,
    /// The last responder has left its handler.
    LastResponder,
}

impl Until {
    const fn name(self) -> &'static str {
        match self {
            Until::Initiator => "initiator",
            Until::LastResponder => "last_responder",
        }
    }
}

struct Shoot<'c, P: 'static> {
    kernel: &'c mut Kernel,
    pages: &'c mut Pages,
    count: u64,
    tlb: Tlb<Shootdown<AllCpus, &'static P>>,
    responders: &'c Responders<'c>,
    until: Until,
    /// A responder has not answered.
    silent: bool,
}

impl<P: Protocol> Case for Shoot<'_, P> {
    fn prepare(&mut self) -> Result<(), Failure> {
        self.responders.prepare()?;
        self.responders.note_answers();
        Ok(())
    }

    fn operation(&mut self) {
        PendingFlush::new(self.pages.start(), self.count, PageSize::Size4K).flush(&self.tlb);
        if self.until == Until::LastResponder {
            self.silent |= !self.responders.await_answers();
        }
    }

    fn restore(&mut self) -> Result<(), Failure> {
        expect_eq!("a responder without an answer", self.silent, false);
        Ok(())
    }

    fn verify(&mut self) -> Result<(), Failure> {
        for _ in 0..2 {
            self.responders
                .expect(self.pages, MARKS[self.pages.shown()])?;
            // The operation is the flush that is owed.
            drop(self.pages.turn(self.kernel)?);
            if self.responders.state == State::Halted {
                self.responders.prepare()?;
            }
            self.responders.note_answers();
            perform(self);
            self.responders
                .expect(self.pages, MARKS[self.pages.shown()])?;
        }
        Ok(())
    }
}

/// One measurement.
#[derive(Clone)]
struct Shape {
    pages: usize,
    responders: Selection,
    state: State,
    until: Until,
}

impl Shape {
    fn name<P: Protocol>(&self) -> ArrayString<96> {
        let mut name = ArrayString::new();
        // A name that does not fit is refused by the harness.
        let _ = write!(
            name,
            "shootdown/{}/pages={}/responders={}/state={}/policy={}",
            self.until.name(),
            self.pages,
            self.responders,
            self.state.name(),
            P::NAME
        );
        name
    }

    /// Whether there is an end to wait for: idle CPUs are left alone by one of the protocols, and those that shoot themselves are
    /// interrupted by each other, too.
    fn is_sound<P: Protocol>(&self) -> bool {
        match self.until {
            Until::Initiator => true,
            Until::LastResponder => match self.state {
                State::Halted => !P::LEAVES_IDLE_ALONE,
                State::Spinning | State::Holding => true,
                State::Shooting => false,
            },
        }
    }
}

/// With responders by number.
fn by_number(selections: &Selections) -> impl Iterator<Item = Shape> {
    [Until::Initiator, Until::LastResponder]
        .into_iter()
        .flat_map(|until| State::ALL.map(|state| (until, state)))
        .flat_map(|(until, state)| PAGES.map(|pages| (until, state, pages)))
        .flat_map(move |(until, state, pages)| {
            selections.numbers().map(move |responders| Shape {
                pages,
                responders,
                state,
                until,
            })
        })
}

/// With one responder, at each distance.
fn by_distance(selections: &Selections) -> impl Iterator<Item = Shape> {
    let there = selections.distances().filter_map(|(_, there)| there);
    there.flat_map(|responders| {
        let states = [State::Halted, State::Spinning, State::Holding];
        let shapes = states.map(|state| (state, [1, 33]));
        shapes.into_iter().flat_map(move |(state, pages)| {
            let responders = responders.clone();
            pages.map(move |pages| Shape {
                pages,
                responders: responders.clone(),
                state,
                until: Until::Initiator,
            })
        })
    })
}

pub(super) fn run<P: Protocol + Sync>(
    machine: &mut Machine,
    run: &mut Run,
    protocol: &'static P,
    selections: &Selections,
) {
    for (distance, there) in selections.distances() {
        if there.is_none() && !selections.is_empty() {
            let mut name = ArrayString::<96>::new();
            let (distance, policy) = (distance.name(), P::NAME);
            let _ = write!(
                name,
                "shootdown/initiator/responders={distance}/policy={policy}"
            );
            run.skip(&name, NOBODY);
        }
    }
    if selections.is_empty() {
        let mut name = ArrayString::<96>::new();
        let _ = write!(name, "shootdown/initiator/policy={}", P::NAME);
        run.skip(&name, ALONE);
    }
    let start = machine.layout.scratch.start;
    let direct_map = machine.direct_map;
    for shape in by_number(selections).chain(by_distance(selections)) {
        let name = shape.name::<P>();
        if !shape.is_sound::<P>() || !run.would(&name) {
            continue;
        }
        let on = shape.responders.cpus(machine);
        let kernel = &mut machine.kernel;
        let outcome = machine.processors.online(&on, |online| {
            measure(kernel, direct_map, start, &shape, online, run, protocol)
        });
        if let Err(failure) = outcome {
            run.check(name.as_str(), Err(failure));
        }
    }
}

fn measure<P: Protocol + Sync>(
    kernel: &mut Kernel,
    direct_map: DirectMap,
    start: VirtAddr,
    shape: &Shape,
    online: &Online,
    run: &mut Run,
    protocol: &'static P,
) -> Result<(), Failure> {
    let cpus = *kernel.tlb.invalidate().cpus();
    let tlb = Tlb::new(Shootdown::new(cpus, protocol), kernel.tlb.ceiling());
    let mut pages = Pages::new(kernel, direct_map, start, shape.pages)?;
    for (frame, mark) in MARKS.into_iter().enumerate() {
        pages.write(frame, mark);
    }
    let responders = Responders::new(online, shape.state);
    // Nothing is mapped there: flushing it is all the same work.
    let elsewhere = |cpu: CpuId| {
        let page = VirtAddr(start.0 + (4096 + cpu.number() as u64) * PAGE_SIZE);
        PendingFlush::new(page, 1, PageSize::Size4K).flush(&tlb);
    };
    let ends = pages.ends();
    responders.with(ends, elsewhere, || {
        let mut case = Shoot {
            kernel,
            pages: &mut pages,
            count: shape.pages as u64,
            tlb,
            responders: &responders,
            until: shape.until,
            silent: false,
        };
        run.measure(&shape.name::<P>(), &mut case);
    });
    pages.end(kernel)
}
