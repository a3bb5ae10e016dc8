//! A look at every leaf of a live table, for what must not be there.
//!
//! "Never writable and executable" (W^X) holds for memory, not only for each leaf: a frame that one leaf lets be executed must not
//! be writable by any other.

use arrayvec::ArrayVec;

use crate::mm::address::{FrameRange, VirtAddr};
use crate::mm::hardware::PhysicalMemory;
use crate::mm::page_table::{PageTable, Translation};

/// Runs of executable frames that one walk compares all leaves with.
const RUNS: usize = 16;

/// What an audit of a live table found.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Audit {
    /// Leaves of 4 KiB, 2 MiB and 1 GiB.
    pub leaves: [u64; 3],
    /// A leaf that is writable and executable, if there is one.
    pub writable_executable: Option<VirtAddr>,
    /// A leaf in the lower half, if there is one.
    pub lower_half: Option<VirtAddr>,
}

impl Audit {
    /// Looks at every leaf of the table.
    pub fn of<M: PhysicalMemory>(table: &PageTable<M>) -> Self {
        let mut audit = Audit::default();
        table.for_each_leaf(|address, leaf| {
            audit.leaves[leaf.size() as usize] += 1;
            if leaf.protection().is_writable() && leaf.protection().is_executable() {
                audit.writable_executable.get_or_insert(address);
            }
            if address.0 >> 63 == 0 {
                audit.lower_half.get_or_insert(address);
            }
        });
        audit
    }
}

/// A writable leaf of a frame that another leaf lets be executed, if there is one.
///
/// Looks at every leaf twice, and twice more for each further 16 runs of executable frames.
pub fn writable_code<M: PhysicalMemory>(table: &PageTable<M>) -> Option<VirtAddr> {
    let (mut seen, mut found) = (0, None);
    while found.is_none() {
        let code = executable(table, seen);
        if code.is_empty() {
            break;
        }
        seen += code.len();
        table.for_each_leaf(|address, leaf| {
            let frames = frames(leaf);
            let overlaps = |code: &FrameRange| code.start < frames.end && frames.start < code.end;
            if leaf.protection().is_writable() && code.iter().any(overlaps) {
                found.get_or_insert(address);
            }
        });
    }
    found
}

/// The frames of executable leaves, in runs, but for the first `skip` of those.
fn executable<M: PhysicalMemory>(table: &PageTable<M>, skip: usize) -> ArrayVec<FrameRange, RUNS> {
    let mut runs = ArrayVec::<FrameRange, RUNS>::new();
    let (mut number, mut end) = (0usize, None);
    table.for_each_leaf(|_, leaf| {
        if !leaf.protection().is_executable() {
            return;
        }
        let frames = frames(leaf);
        if end != Some(frames.start) {
            number += 1;
        }
        end = Some(frames.end);
        match number.checked_sub(skip + 1) {
            Some(place) if place < runs.len() => runs[place].end = frames.end,
            Some(_) => drop(runs.try_push(frames)),
            None => {}
        }
    });
    runs
}

/// The frames that a leaf maps.
const fn frames(leaf: Translation) -> FrameRange {
    let first = leaf.address.frame();
    first..first.add(leaf.size().frames())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mm::address::{PageSize, Pfn};
    use crate::mm::model::Arena;
    use crate::mm::page_table::Protection;

    #[test]
    fn an_audit_finds_what_must_not_be() {
        let arena = Arena::new(64);
        let mut table = arena.owned_range();
        let mut tables = arena.tables(63);
        let low = VirtAddr(0x5000);
        table
            .map(
                low,
                Pfn(5)..Pfn(6),
                Protection::READ,
                PageSize::Size4K,
                &mut tables,
            )
            .unwrap();
        assert_eq!(Audit::of(&table).lower_half, Some(low));
        assert_eq!(Audit::of(&table).leaves, [1, 0, 0]);
    }

    /// Code and a writable alias of one of its frames, wherever both lie and whatever else is executable.
    #[test]
    fn a_frame_that_is_writable_here_and_executable_there_is_found() {
        let (code, data) = (0xffff_ffff_c010_0000, 0xffff_8880_0000_0000);
        for (runs, alias, size, found) in [
            (1, 100..101, PageSize::Size4K, true),
            (1, 101..102, PageSize::Size4K, true),
            (1, 102..103, PageSize::Size4K, false),
            (1, 99..100, PageSize::Size4K, false),
            (1, 90..101, PageSize::Size4K, true),
            (1, 0..512, PageSize::Size2M, true),
            (1, 512..1024, PageSize::Size2M, false),
            (
                40,
                100 + 39 * 3 + 1..100 + 39 * 3 + 2,
                PageSize::Size4K,
                true,
            ),
            (40, 100 + 17 * 3..100 + 17 * 3 + 1, PageSize::Size4K, true),
            (40, 100 + 40 * 3..700, PageSize::Size4K, false),
        ] {
            let arena = Arena::new(64);
            let mut table = arena.owned_range();
            let mut tables = arena.tables(63);
            let mut map = |address, frames, protection| {
                table
                    .map(VirtAddr(address), frames, protection, size, &mut tables)
                    .unwrap();
            };
            // Two frames each, and one between that is not executable.
            for run in 0..runs {
                let first = Pfn(100 + 3 * run);
                let frames = first..first.add(2);
                map(code + run * 0x2000, frames, Protection::READ_EXECUTE);
            }
            let alias = Pfn(alias.start)..Pfn(alias.end);
            let start = data + alias.start.address().0;
            map(start, alias, Protection::READ_WRITE);
            let found = found.then_some(VirtAddr(start));
            let code = writable_code(&table);
            assert_eq!(code.is_some(), found.is_some(), "{runs} {found:?}");
            if runs == 1 && size == PageSize::Size2M {
                assert_eq!(code, found);
            }
            assert_eq!(Audit::of(&table).writable_executable, None);
        }
    }
}
