//! Which address spaces a CPU's TLB holds translations of, and which of those are stale.
//!
//! With process-context identifiers (PCID; Intel SDM volume 3, 5.10.1) a TLB keeps the translations of several address spaces
//! apart, and a switch drops none. What changed in a space while a CPU was not using it has to be dropped when it comes back: a
//! space counts the flushes that it asked for, its generation, and each CPU remembers up to which of them it has seen. This is
//! Linux's scheme (arch/x86/mm/tlb.c): six places a CPU (its dynamic ASIDs), each an id that is never used twice and a generation.
//!
//! It is about translations that are not global alone. Those of the kernel half are global, and dropped from all contexts at
//! once; CPUs without global pages use no PCIDs, so that every switch drops everything. What a CPU knows of the kernel half's tables
//! is never global: one that is taken out waits for a flush of everything
//! ([`PendingFlush::everything`](super::PendingFlush::everything)).
//!
//! # Other CPUs
//!
//! A change is made known by the generation first and by a shootdown then, which makes every CPU drop what it holds of the context
//! that it has loaded. So a CPU that loads the space later sees the generation, and one that has it loaded is interrupted. Between
//! the two lies the CPU that has looked at the generation and has not loaded CR3 yet: the interrupt drops translations of the
//! context from before. Hence [`Contexts::changed_meanwhile`], the second look, once CR3 is loaded. Linux holds interrupts off for so
//! long; here they are NMIs. What a responder dropped it does not write down: its next switch to the space drops it once more.

use core::sync::atomic::{AtomicU64 as Count, Ordering};

use crate::mm::shootdown::sync::AtomicU64;

/// Address spaces that a CPU keeps apart: TLB_NR_DYN_ASIDS in Linux.
const ASIDS: usize = 6;

/// An address space as TLBs know it.
#[derive(Debug)]
pub struct Context {
    /// No other context ever has it, so that what a TLB holds of one that is gone never passes for another's.
    id: u64,
    /// Flushes that were asked for so far.
    generation: AtomicU64,
}

impl Context {
    /// A context that no TLB knows.
    #[must_use]
    pub fn new() -> Self {
        /// 0 is nobody's.
        static NEXT: Count = Count::new(1);
        Context {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            generation: AtomicU64::new(0),
        }
    }

    /// A change of the space's table is made, and TLBs may contradict it: from here on every CPU is stale that has not caught up
    /// with what this returns.
    pub fn advance(&self) -> Generations {
        // A CPU that sees the generation also sees the change of the table.
        let last = self.generation.fetch_add(1, Ordering::Release) + 1;
        Generations {
            id: self.id,
            first: last,
            last,
            count: 1,
        }
    }
}

/// Flushes that one context asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Generations {
    id: u64,
    first: u64,
    last: u64,
    /// How many of those from the first to the last: another flush may have been asked for between.
    count: u64,
}

impl Generations {
    /// Both; `None` if they are two contexts'.
    #[must_use]
    pub fn join(self, other: Generations) -> Option<Generations> {
        (self.id == other.id).then(|| Generations {
            id: self.id,
            first: self.first.min(other.first),
            last: self.last.max(other.last),
            count: self.count + other.count,
        })
    }
}

impl Default for Context {
    fn default() -> Self {
        Context::new()
    }
}

/// A process-context identifier: bits 11 to 0 of CR3. PCID 0 is the reference table's, and everybody's on a CPU that has no
/// others.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pcid(pub u16);

/// What the TLB may hold under one PCID: translations of this context, from this generation on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Held {
    id: u64,
    generation: u64,
}

/// What loading a context takes.
#[must_use]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Switch {
    /// Nothing: it is loaded, and current.
    Nothing,
    /// CR3, all translations kept.
    Keep(Pcid),
    /// CR3, and all translations of the PCID dropped.
    Flush(Pcid),
}

/// What a flush of a context takes on one CPU.
#[must_use]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CatchUp {
    /// Nothing: it is current; or it is not loaded, and the next switch to it sees to it.
    Nothing,
    /// The pages of these flushes: they are all that the CPU has not seen.
    Pages,
    /// The whole context: the CPU has missed more than these.
    Whole,
}

/// The contexts of one CPU.
#[derive(Debug)]
pub struct Contexts {
    held: [Held; ASIDS],
    /// The TLB keeps contexts apart.
    keeps: bool,
    /// The place of the loaded context.
    loaded: Option<u8>,
    /// The place that the next context gets which has none.
    next: u8,
}

impl Contexts {
    /// A CPU whose TLB holds nothing; `pcid` says whether it keeps contexts apart.
    #[must_use]
    pub const fn new(pcid: bool) -> Self {
        const NOTHING: Held = Held {
            id: 0,
            generation: 0,
        };
        Contexts {
            held: [NOTHING; ASIDS],
            keeps: pcid,
            loaded: None,
            next: 0,
        }
    }

    /// This CPU is about to load `context`: what does it take? The caller does it at once, with interrupts off, and if it was to
    /// [keep](Switch::Keep) translations it then asks whether the context [changed meanwhile](Self::changed_meanwhile).
    #[inline]
    pub fn switch_to(&mut self, context: &Context) -> Switch {
        // Before CR3 is loaded: a change that comes later is caught up with as one of a context that is loaded.
        let wanted = Held {
            id: context.id,
            generation: context.generation.load(Ordering::Acquire),
        };
        if let Some(loaded) = self.loaded
            && self.held[usize::from(loaded)] == wanted
        {
            return Switch::Nothing;
        }
        let found = self.held.iter().position(|held| held.id == wanted.id);
        let place = match found {
            Some(place) => place as u8,
            None => self.take_place(),
        };
        let held = &mut self.held[usize::from(place)];
        let current = *held == wanted;
        *held = wanted;
        self.loaded = Some(place);
        match (self.keeps, current) {
            (true, true) => Switch::Keep(Pcid(u16::from(place) + 1)),
            (true, false) => Switch::Flush(Pcid(u16::from(place) + 1)),
            (false, _) => Switch::Flush(Pcid(0)),
        }
    }

    /// CR3 was loaded with `context`, its translations kept. Did it change since [`switch_to`](Self::switch_to) looked? Then CR3 is
    /// loaded again, and they are dropped, before any of them is used.
    #[inline]
    pub fn changed_meanwhile(&mut self, context: &Context) -> bool {
        let Some(loaded) = self.loaded else {
            return false;
        };
        let held = &mut self.held[usize::from(loaded)];
        let now = Held {
            id: context.id,
            generation: context.generation.load(Ordering::Acquire),
        };
        let changed = *held != now;
        *held = now;
        changed
    }

    /// This CPU is about to load the reference table, which is no context.
    pub const fn leave(&mut self) {
        self.loaded = None;
    }

    /// What this CPU has to do for these flushes. The caller does it before it acknowledges the flush.
    #[inline]
    pub fn catch_up(&mut self, flushes: Generations) -> CatchUp {
        let Some(loaded) = self.loaded else {
            return CatchUp::Nothing;
        };
        let held = &mut self.held[usize::from(loaded)];
        if held.id != flushes.id || held.generation >= flushes.last {
            return CatchUp::Nothing;
        }
        let covered = flushes.first..=flushes.last;
        let all = flushes.count == flushes.last - flushes.first + 1
            && covered.contains(&(held.generation + 1));
        held.generation = flushes.last;
        if all { CatchUp::Pages } else { CatchUp::Whole }
    }

    /// The places in turn.
    const fn take_place(&mut self) -> u8 {
        let place = self.next;
        self.next = (self.next + 1) % ASIDS as u8;
        place
    }
}

#[cfg(test)]
mod tests;
