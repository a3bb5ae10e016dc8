//! Tables of the boot stretch, before there is a frame allocator.

use crate::mm::address::Pfn;
use crate::mm::frame::BootAllocator;
use crate::mm::hardware::PhysicalMemory;
use crate::mm::page_table::{TableFrames, Tables};

/// Tables out of the boot-time allocator: single frames that are never given back.
#[derive(Debug)]
pub struct BootTables<'b, 'm, M> {
    memory: M,
    frames: &'b mut BootAllocator<'m>,
    below: Pfn,
}

impl<'b, 'm, M: PhysicalMemory> BootTables<'b, 'm, M> {
    /// Tables out of the frames below `below`.
    ///
    /// # Safety
    ///
    /// `memory` covers every frame below `below` that `frames` has, and nobody else uses them.
    pub unsafe fn new(memory: M, frames: &'b mut BootAllocator<'m>, below: Pfn) -> Self {
        BootTables {
            memory,
            frames,
            below,
        }
    }

    /// A single frame full of zeros, if there is one.
    pub fn allocate_table(&mut self) -> Option<Pfn> {
        let frame = self.frames.alloc(1, self.below).ok()?.start;
        // SAFETY: the frame is covered and nobody else's (promised to `new`), and has just been allocated.
        unsafe { self.memory.zero(frame) };
        Some(frame)
    }
}

impl<M: PhysicalMemory> TableFrames for BootTables<'_, '_, M> {
    /// Frames that are taken before there is one too few are lost: the boot ends there anyway.
    fn allocate_tables(&mut self, count: u64) -> Option<Tables> {
        let mut tables = Tables::NONE;
        for _ in 0..count {
            let frame = self.allocate_table()?;
            // SAFETY: just filled with zeros, and covered (promised to `new`).
            unsafe { tables.push(frame, &self.memory) };
        }
        Some(tables)
    }

    /// They are lost: nobody else builds tables at boot.
    fn give_back(&mut self, tables: Tables) {
        debug_assert_eq!(tables, Tables::NONE, "another owner at boot");
    }
}
