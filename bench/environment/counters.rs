//! The core's counters: started, held against what they have to count, and read around brackets.

use core::arch::asm;

use pagemark::cpu::access::ThisCpu;
use pagemark::cpu::counters::{Absent, Counters, Kind, MOST};
use pagemark::cpu::invalidate::flush_everything;
use pagemark_bracket::sample::{METERED, Meter};
use pagemark_record::{Counts, Figure};

use super::fracture;

/// Turns of the loop that is counted, of two instructions each.
const TURNS: u64 = 10_000;

/// Starts them.
pub(super) fn start() -> Result<Counters, Absent> {
    let counters = Counters::start(&ThisCpu)?;
    let mut counters = counters.confirm(&ThisCpu, 2 * TURNS, || {
        // SAFETY: a loop over a register.
        unsafe {
            asm!("2:", "dec {turns}", "jnz 2b", turns = inout(reg) TURNS => _, options(nomem, nostack));
        }
    })?;
    if !counts_walks(&counters) {
        counters.without_walks();
    }
    Ok(counters)
}

/// Whether reading pages that the TLB does not have is counted: a walk each, and those of the stack and of speculation.
fn counts_walks(counters: &Counters) -> bool {
    let pages = fracture::PAGES as u64;
    flush_everything();
    let before = counters.read(&ThisCpu);
    fracture::read_all();
    let counts = counters.between(before, counters.read(&ThisCpu));
    [Kind::LoadWalks, Kind::Walks]
        .into_iter()
        .filter_map(|kind| counters.of(kind, counts))
        .all(|walks| (pages..=2 * pages).contains(&walks))
}

/// The names of what is counted, as the record `environment` has them.
pub(super) const fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Cycles => "cycles",
        Kind::Instructions => "instructions",
        Kind::LoadWalks => "load_walks",
        Kind::StoreWalks => "store_walks",
        Kind::Walks => "walks",
        Kind::LoadWalkCycles => "load_walk_cycles",
        Kind::StoreWalkCycles => "store_walk_cycles",
    }
}

/// The counters, as brackets want them.
pub struct Counting<'c>(pub(super) &'c Counters);

const _: () = assert!(MOST == METERED);

impl Meter for Counting<'_> {
    fn read(&mut self) -> [u64; METERED] {
        self.0.read(&ThisCpu)
    }

    fn between(&self, before: [u64; METERED], after: [u64; METERED]) -> [u64; METERED] {
        self.0.between(before, after)
    }
}

/// What the figures of the counters' places are: core cycles, and the rest.
pub(super) fn by_kind(counters: &Counters, figures: [Figure; METERED]) -> (Option<Figure>, Counts) {
    let of = |kind| {
        let place = counters.kinds().position(|counted| counted == kind)?;
        Some(figures[place])
    };
    let apart = of(Kind::LoadWalkCycles).zip(of(Kind::StoreWalkCycles));
    let counts = Counts {
        instructions: of(Kind::Instructions),
        load_walks: of(Kind::LoadWalks),
        store_walks: of(Kind::StoreWalks),
        walks: of(Kind::Walks),
        walk_cycles: apart.map(|(load, store)| load.less(Figure::default().less(store))),
    };
    (of(Kind::Cycles), counts)
}
