//! An area whose owner has it before him: to look at, and then to take the contents out.

use super::Place;
use crate::mm::address::VirtAddr;

/// An area that owns something.
#[derive(Debug)]
pub struct Owned<'s, T> {
    start: VirtAddr,
    slot: u32,
    contents: &'s mut Option<T>,
}

impl<'s, T> Owned<'s, T> {
    #[inline]
    pub(super) const fn new(start: VirtAddr, slot: u32, contents: &'s mut Option<T>) -> Self {
        Owned {
            start,
            slot,
            contents,
        }
    }

    /// What it owns; nothing if it is a place already.
    #[must_use]
    #[inline]
    pub const fn contents(&self) -> Option<&T> {
        self.contents.as_ref()
    }

    /// Takes the contents out; the addresses stay taken.
    #[inline]
    pub fn take(self) -> Option<(Place, T)> {
        let (start, slot) = (self.start, self.slot);
        Some((Place { start, slot }, self.contents.take()?))
    }
}
