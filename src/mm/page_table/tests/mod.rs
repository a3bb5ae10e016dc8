//! The table against a naive model, its limits, and its failures.

mod against_a_model;
mod edges;
mod failures;
mod limits;
mod many_entries;
mod model;
mod owners;
mod resize;
mod table_cache;

use std::vec::Vec;

use core::sync::atomic::Ordering::Relaxed;

use super::format::entry::Entry;
use super::format::levels::leaf_size;
use super::format::pt::PresentCount;
use super::*;
use crate::mm::address::{PAGE_SIZE, PageSize, PhysAddr, VirtAddr};
use crate::mm::model::{Arena, ArenaTables};

/// Frames of the arena: the root is the first, and tables are the others.
const ARENA: u64 = 64;
/// The start of the upper half with four levels, and an address like any other with five.
const HALF: u64 = 0xffff_8000_0000_0000;
const MIB2: u64 = 1 << 21;
const GIB: u64 = 1 << 30;

/// An empty table, and frames for further tables.
fn table(arena: &Arena, levels: Levels, tables: u64) -> (OwnedRange<&Arena>, ArenaTables<'_>) {
    // SAFETY: frame 0 is zero and nobody else's; so are the frames behind it, which become tables.
    let table = unsafe { PageTable::new(arena, Pfn(0), levels) };
    // SAFETY: it is nobody else's.
    let table = unsafe { table.own_all() };
    (table, arena.tables(tables))
}

/// Every leaf, lowest address first.
fn leaves(table: &OwnedRange<&Arena>) -> Vec<(VirtAddr, Translation)> {
    let mut leaves = Vec::new();
    table.for_each_leaf(|address, leaf| leaves.push((address, leaf)));
    leaves
}

/// Every word of every table of the arena; under Miri, for which those are too many, of the first ones, which are used first.
fn words(arena: &Arena) -> Vec<u64> {
    let frames = if cfg!(miri) { 8 } else { ARENA };
    let words = (0..frames * PAGE_SIZE).step_by(8);
    words.map(|at| arena.read(PhysAddr(at))).collect()
}

/// The count in each entry that leads to a PT is that of the PT's present entries.
fn validate(table: &OwnedRange<&Arena>) {
    fn visit(table: &OwnedRange<&Arena>, frame: Pfn, level: u32) {
        for entry in table.table(frame) {
            if let Entry::Table(frame) = Entry::of(entry.load(Relaxed), leaf_size(level)) {
                if level == 2 {
                    let present = table.table(frame).iter();
                    let present = present.filter(|entry| entry.load(Relaxed) != 0).count();
                    assert_eq!(PresentCount(entry).get(), present as u64);
                } else {
                    visit(table, frame, level - 1);
                }
            }
        }
    }
    visit(table, table.root, table.levels as u32);
}
