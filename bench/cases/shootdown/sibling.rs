//! What flushes on this CPU cost the other thread of its core, which may share its TLB: the time in which that one makes some turns through
//! pages while this one pauses, drops a page that nobody uses, or drops everything, again and again.

use core::fmt::Write;
use core::sync::atomic::{AtomicU64, Ordering::Acquire, Ordering::Relaxed, Ordering::Release};

use arrayvec::ArrayString;
use pagemark::cpu::invalidate::{flush_everything, invlpg};
use pagemark::cpu::spin::{Bound, MEASUREMENT};
use pagemark::machine::Machine;
use pagemark::mm::address::{PAGE_SIZE, VirtAddr};
use pagemark::mm::shootdown::CpuMask;

use super::pages::{Pages, look};
use super::selection::Selections;
use crate::harness::case::{Case, Failure, expect_eq};
use crate::harness::run::Run;

/// Pages that the sibling goes through: few, and more than the first level of a TLB has.
const SIZES: [usize; 2] = [32, 512];
/// Turns of a sample.
const TURNS: u64 = 64;
/// What every page shows.
const MARK: u64 = 0x7369_626c_696e_6700;

/// What this CPU does meanwhile.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flush {
    None,
    Page,
    All,
}

impl Flush {
    const ALL: [(Flush, &str); 3] = [
        (Flush::None, "none"),
        (Flush::Page, "page"),
        (Flush::All, "all"),
    ];
}

/// What the sibling has done.
#[derive(Default)]
struct Progress {
    turns: AtomicU64,
    /// Words that were not the mark.
    wrong: AtomicU64,
    over: AtomicU64,
}

struct Beside<'p> {
    flush: Flush,
    /// A page that nobody uses.
    unused: VirtAddr,
    progress: &'p Progress,
    /// Turns that the sibling made, and flushes that this CPU made meanwhile.
    turns: u64,
    flushes: u64,
    silent: bool,
}

impl Case for Beside<'_> {
    fn prepare(&mut self) -> Result<(), Failure> {
        (self.turns, self.flushes) = (0, 0);
        Ok(())
    }

    fn operation(&mut self) {
        let turns = &self.progress.turns;
        let before = turns.load(Acquire);
        let mut bound = Bound::default();
        let mut flushes = 0;
        let made = loop {
            match self.flush {
                Flush::None => {}
                Flush::Page => invlpg(self.unused),
                Flush::All => flush_everything(),
            }
            flushes += 1;
            let made = turns.load(Acquire) - before;
            if made >= TURNS {
                break made;
            }
            if !bound.spin() {
                self.silent = true;
                break made;
            }
        };
        (self.turns, self.flushes) = (made, flushes);
    }

    fn verify(&mut self) -> Result<(), Failure> {
        expect_eq!("the sibling's turns are made", self.turns >= TURNS, true);
        expect_eq!("this CPU has gone on meanwhile", self.flushes > 0, true);
        let wrong = self.progress.wrong.load(Relaxed);
        expect_eq!("words that the sibling read and were wrong", wrong, 0);
        Ok(())
    }

    fn restore(&mut self) -> Result<(), Failure> {
        expect_eq!("a sibling that stands still", self.silent, false);
        Ok(())
    }
}

pub(super) fn run(machine: &mut Machine, run: &mut Run, selections: &Selections) {
    let sibling = selections.sibling();
    for pages in SIZES {
        for (flush, how) in Flush::ALL {
            let mut name = ArrayString::<96>::new();
            let _ = write!(name, "sibling/loads/pages={pages}/flush={how}");
            let Some(on) = &sibling else {
                run.skip(
                    &name,
                    "no CPU of the run is known to be a thread of the first one's core",
                );
                continue;
            };
            if run.would(&name)
                && let Err(failure) = measure(machine, run, &name, pages, flush, on)
            {
                run.check(&*name, Err(failure));
            }
        }
    }
}

fn measure(
    machine: &mut Machine,
    run: &mut Run,
    name: &str,
    pages: usize,
    flush: Flush,
    on: &CpuMask,
) -> Result<(), Failure> {
    let start = machine.layout.scratch.start;
    let (kernel, direct_map) = (&mut machine.kernel, machine.direct_map);
    let range = Pages::new(kernel, direct_map, start, pages)?;
    (0..2).for_each(|frame| range.write(frame, MARK));
    let progress = Progress::default();
    let read = |_| {
        let mut bound = Bound::new(MEASUREMENT);
        while progress.over.load(Relaxed) == 0 && bound.spin() {
            let words = (0..pages as u64).map(|page| look(VirtAddr(start.0 + page * PAGE_SIZE)));
            let wrong = words.filter(|&word| word != MARK).count();
            progress.wrong.fetch_add(wrong as u64, Relaxed);
            progress.turns.fetch_add(1, Release);
        }
    };
    machine.processors.online(on, |online| {
        online.run_on_all(&read, || {
            let mut case = Beside {
                flush,
                unused: VirtAddr(start.0 + 4096 * PAGE_SIZE),
                progress: &progress,
                turns: 0,
                flushes: 0,
                silent: false,
            };
            run.measure(name, &mut case);
            progress.over.store(1, Relaxed);
        });
    });
    range.end(&mut machine.kernel)
}
