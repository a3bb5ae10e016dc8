//! A flush that is owed in one address space.

use super::{CatchUp, Context, Contexts, Generations, PendingFlush, Tlb};
use crate::mm::hardware::TlbInvalidate;

/// As [`PendingFlush`], of translations of one context that are not global. It does not pass for a flush of the kernel's.
#[must_use = "TLBs may still hold the old translations"]
#[derive(PartialEq, Eq, Debug)]
pub struct ContextFlush<T = ()> {
    pending: PendingFlush<T>,
    generations: Generations,
}

impl Context {
    /// The table of this context was just changed, and `pending` is owed for it.
    pub fn changed<T>(&self, pending: PendingFlush<T>) -> ContextFlush<T> {
        ContextFlush {
            pending,
            generations: self.advance(),
        }
    }
}

impl ContextFlush<()> {
    /// Makes `value` wait for this flush.
    pub fn guard<T>(self, value: T) -> ContextFlush<T> {
        ContextFlush {
            pending: self.pending.guard(value),
            generations: self.generations,
        }
    }
}

impl<T> ContextFlush<T> {
    /// One flush for both changes.
    ///
    /// # Errors
    ///
    /// They are of two contexts: both come back.
    pub fn merge(
        self,
        other: ContextFlush<()>,
    ) -> Result<ContextFlush<T>, (ContextFlush<T>, ContextFlush<()>)> {
        match self.generations.join(other.generations) {
            Some(generations) => Ok(ContextFlush {
                pending: self.pending.merge(other.pending),
                generations,
            }),
            None => Err((self, other)),
        }
    }

    /// Flushes on every CPU that `tlb` reaches, and gives out what waited. `contexts` are those of this CPU.
    ///
    /// A CPU that has the context loaded flushes now. Where it is not loaded nothing has to be done: the switch that brings it back
    /// sees to it. Which of the others have it loaded is not known here, so that all of them are interrupted; the pages of this flush are
    /// enough for them, as every other flush that they miss is on its way to them, too.
    #[inline]
    pub fn flush<I: TlbInvalidate>(self, contexts: &mut Contexts, tlb: &Tlb<I>) -> T {
        match contexts.catch_up(self.generations) {
            CatchUp::Nothing if !tlb.invalidate().reaches_others() => {
                self.pending.leave_to_the_next_switch()
            }
            CatchUp::Nothing | CatchUp::Pages => self.pending.flush_context(tlb, true),
            CatchUp::Whole => self.pending.flush_context(tlb, false),
        }
    }

    /// Gives out what waited: the context is gone from every CPU, and its id never comes back.
    pub(in crate::mm) fn into_unreachable(self) -> T {
        self.pending.leave_to_the_next_switch()
    }
}
