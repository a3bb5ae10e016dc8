//! A cache of tables that are full of zeros, as 2.4's quicklists (the book's section 3.8, `pgalloc.h`): a table that is given
//! back there is ready for the next one who needs one.
//!
//! Two marks bound it, 2.4's 25 and 50: when more than the high mark lie in it, all above the low mark go back to the frame
//! allocator.

use super::tables::{Tables, TablesError};
use crate::mm::hardware::PhysicalMemory;

/// Tables that are free, each full of zeros.
#[derive(Debug)]
pub struct TableCache<M> {
    memory: M,
    free: Tables,
}

impl<M: PhysicalMemory> TableCache<M> {
    /// Tables that the cache keeps when it is trimmed.
    pub const LOW: u64 = 25;
    /// Most tables in the cache: more, and it is trimmed.
    pub const HIGH: u64 = 50;

    /// An empty cache.
    ///
    /// # Safety
    ///
    /// All tables that it is given are covered by `memory`.
    pub const unsafe fn new(memory: M) -> Self {
        TableCache {
            memory,
            free: Tables::NONE,
        }
    }

    /// Number of tables in the cache.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.free.count()
    }

    /// Takes `count` tables, or all if there are fewer.
    #[inline]
    pub fn take(&mut self, count: u64) -> Tables {
        let mut taken = Tables::NONE;
        if count > 0 {
            self.pass(count, &mut taken);
        }
        taken
    }

    /// Gives tables back. What comes out is more than the cache keeps and belongs to the frame allocator.
    #[inline]
    pub fn put(&mut self, mut tables: Tables) -> Tables {
        let mut excess = Tables::NONE;
        // SAFETY: both chains have frames that `memory` covers, full of zeros when they come off.
        while let Some(frame) = unsafe { tables.pop(&self.memory) } {
            // SAFETY: as above.
            unsafe { self.free.push(frame, &self.memory) };
        }
        if self.free.count() > Self::HIGH {
            self.pass(self.free.count() - Self::LOW, &mut excess);
        }
        excess
    }

    /// Reads every table in the cache, and expects no entry in it.
    ///
    /// # Errors
    ///
    /// The first that has one.
    pub fn validate(&self) -> Result<(), TablesError> {
        // SAFETY: as in `put`.
        unsafe { self.free.validate(&self.memory) }
    }

    fn pass(&mut self, count: u64, to: &mut Tables) {
        for _ in 0..count {
            // SAFETY: as in `put`.
            let Some(frame) = (unsafe { self.free.pop(&self.memory) }) else {
                return;
            };
            // SAFETY: as in `put`.
            unsafe { to.push(frame, &self.memory) };
        }
    }
}
