//! A vector in memory that the caller hands in, for structures that keep their metadata there: its length grows, its memory does
//! not move, and memory beyond the length is never touched. So room for very many entries costs nothing until they come.

use core::mem::MaybeUninit;
use core::ops::{Index, IndexMut};
use core::slice;

/// Entries, by number.
#[derive(Debug)]
pub struct Slots<'m, T> {
    memory: &'m mut [MaybeUninit<T>],
    /// The entries below this number are initialised.
    len: u32,
}

impl<'m, T> Slots<'m, T> {
    /// No entries, and room for as many as `memory` has, up to 2^32 - 1.
    pub const fn new(memory: &'m mut [MaybeUninit<T>]) -> Self {
        Slots { memory, len: 0 }
    }

    /// Number of entries.
    #[must_use]
    #[inline]
    pub const fn len(&self) -> u32 {
        self.len
    }

    /// Whether there is no entry.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Entries that there is room for.
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.memory.len()
    }

    /// Adds an entry, and returns its number, or `None` if there is no room.
    pub fn push(&mut self, entry: T) -> Option<u32> {
        let number = self.len;
        let len = number.checked_add(1)?;
        self.memory.get_mut(number as usize)?.write(entry);
        self.len = len;
        Some(number)
    }

    /// The entries, for callers that visit many of them.
    #[must_use]
    #[inline]
    pub const fn as_slice(&self) -> &[T] {
        // SAFETY: entries below `len` are initialised and within the memory, and `MaybeUninit<T>` has the layout of `T`.
        unsafe { slice::from_raw_parts(self.memory.as_ptr().cast(), self.len as usize) }
    }

    /// The entry of this number.
    #[must_use]
    #[inline]
    pub fn get(&self, number: u32) -> Option<&T> {
        if number >= self.len {
            return None;
        }
        // SAFETY: entries below `len` are within the memory.
        let entry = unsafe { self.memory.get_unchecked(number as usize) };
        // SAFETY: and initialised.
        Some(unsafe { entry.assume_init_ref() })
    }

    /// The entry of this number, to change.
    #[inline]
    pub fn get_mut(&mut self, number: u32) -> Option<&mut T> {
        if number >= self.len {
            return None;
        }
        // SAFETY: as in `get`.
        let entry = unsafe { self.memory.get_unchecked_mut(number as usize) };
        // SAFETY: as in `get`.
        Some(unsafe { entry.assume_init_mut() })
    }
}

/// For numbers that the structure itself keeps.
impl<T> Index<u32> for Slots<'_, T> {
    type Output = T;

    #[inline]
    fn index(&self, number: u32) -> &T {
        match self.get(number) {
            Some(entry) => entry,
            None => out_of_range(number, self.len),
        }
    }
}

impl<T> IndexMut<u32> for Slots<'_, T> {
    #[inline]
    fn index_mut(&mut self, number: u32) -> &mut T {
        let len = self.len;
        match self.get_mut(number) {
            Some(entry) => entry,
            None => out_of_range(number, len),
        }
    }
}

#[cold]
#[inline(never)]
fn out_of_range(number: u32, len: u32) -> ! {
    panic!("slot {number} of {len}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn entries_come_one_by_one_until_the_memory_is_full() {
        let mut memory: Vec<_> = (0..3).map(|_| MaybeUninit::<u64>::uninit()).collect();
        let mut slots = Slots::new(&mut memory);
        assert!(slots.is_empty() && slots.get(0).is_none());
        assert_eq!(
            [7, 8, 9].map(|entry| slots.push(entry)),
            [0, 1, 2].map(Some)
        );
        assert_eq!(slots.push(10), None);
        slots[1] += 100;
        assert_eq!((slots[0], slots[1], slots.get(2)), (7, 108, Some(&9)));
        assert_eq!(slots.get(3), None);
    }
}
