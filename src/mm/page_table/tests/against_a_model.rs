//! Random operations on table and model: the same results, the same leaves, the same number of tables, no stale translation.

use std::vec::Vec;

use proptest::prelude::*;

use super::model::{Model, page};
use super::*;
use crate::mm::model::ModelTlb;
use crate::mm::tlb::Tlb;

/// The border of two PDs, in whose surroundings the test maps: between pages of two PTs, 2 MiB and 1 GiB leaves.
const BORDER: u64 = 512 * 512;

/// A GiB of pages, and some more than that; Miri, which takes minutes for one such range, has three PTs of pages.
const MANY: [u64; 2] = if cfg!(miri) {
    [3 * 512, 3 * 512 + 1]
} else {
    [512 * 512, 512 * 512 + 512 + 1]
};
/// Frames, of which the first is the root.
const FRAMES: u64 = if cfg!(miri) { ARENA } else { 2048 };
/// Most operations of a run.
const OPERATIONS: usize = if cfg!(miri) { 8 } else { 20 };

#[derive(Clone, Debug)]
enum Operation {
    Map(u64, Vec<Pfn>, Shape, Protection, PageSize),
    Unmap(u64, u64),
    /// The same of a mapping that owns no frames, whose pages are all there.
    LetGo(u64, u64),
    Protect(u64, u64, Protection),
    Remap(u64, Vec<Pfn>, Shape),
    Harvest(u64, u64),
    Split(u64),
    Collapse(u64, PageSize),
    Release(u64, u64),
}

/// How the frames are handed over.
#[derive(Clone, Copy, Debug)]
enum Shape {
    Range,
    Slice,
    Runs,
    /// As runs, with tables that were set aside, as many as turned out to be missing.
    SetAside,
}

fn pages() -> impl Strategy<Value = (u64, u64)> {
    let start = prop_oneof![
        4 => BORDER - 12..BORDER + 12,
        2 => BORDER + 500..BORDER + 530,
        2 => Just(BORDER - 512),
        4 => Just(BORDER),
        2 => Just(BORDER + 512),
    ];
    let pages = prop_oneof![
        // Has a way of its own, in a PT that is known.
        8 => Just(1),
        12 => 2u64..6,
        4 => 500u64..530,
        6 => Just(512),
        4 => Just(1024),
        1 => Just(MANY[0]),
        1 => Just(MANY[1]),
    ];
    (start, pages)
}

fn protection() -> impl Strategy<Value = Protection> {
    prop_oneof![
        Just(Protection::READ_WRITE),
        Just(Protection::READ),
        Just(Protection::READ_EXECUTE),
        Just(Protection::DEVICE.not_global()),
        Just(Protection::READ_WRITE.with_memory_type(MemoryType::WriteThrough)),
    ]
}

/// Contiguous frames, mostly, with a jump now and then.
fn frames(count: u64) -> impl Strategy<Value = Vec<Pfn>> {
    let first = prop_oneof![0x1000u64..0x1010, Just(0x200), Just(0x40_0000)];
    let jump = prop_oneof![3 => Just(count), 1 => 0..count, 1 => Just(512u64.min(count))];
    (first, jump).prop_map(move |(first, jump)| {
        let frame = |at: u64| Pfn(first + at + if at >= jump { 0x1_0000 } else { 0 });
        (0..count).map(frame).collect()
    })
}

fn operations() -> impl Strategy<Value = Operation> {
    let size = || {
        prop_oneof![
            Just(PageSize::Size4K),
            Just(PageSize::Size2M),
            Just(PageSize::Size1G)
        ]
    };
    let shape = || {
        prop_oneof![
            Just(Shape::Range),
            Just(Shape::Slice),
            Just(Shape::Runs),
            Just(Shape::SetAside)
        ]
    };
    prop_oneof![
        3 => pages().prop_flat_map(move |(start, pages)| {
            (Just(start), frames(pages), shape(), protection(), size())
        })
        .prop_map(|(start, frames, shape, protection, size)| Operation::Map(
            start, frames, shape, protection, size
        )),
        2 => pages().prop_map(|(start, pages)| Operation::Unmap(start, pages)),
        2 => pages().prop_map(|(start, pages)| Operation::LetGo(start, pages)),
        1 => (pages(), protection())
            .prop_map(|((start, pages), protection)| Operation::Protect(start, pages, protection)),
        1 => pages()
            .prop_flat_map(move |(start, pages)| (Just(start), frames(pages), shape()))
            .prop_map(|(start, frames, shape)| Operation::Remap(start, frames, shape)),
        1 => pages().prop_map(|(start, pages)| Operation::Harvest(start, pages)),
        1 => pages().prop_map(|(start, _)| Operation::Split(start)),
        1 => (pages(), size()).prop_map(|((start, _), size)| Operation::Collapse(start, size)),
        1 => pages().prop_map(|(start, pages)| Operation::Release(start, pages)),
    ]
}

/// Contiguous runs of the frames.
fn runs(frames: &[Pfn]) -> Vec<(Pfn, u64)> {
    let mut runs: Vec<(Pfn, u64)> = Vec::new();
    for &frame in frames {
        match runs.last_mut() {
            Some((first, length)) if first.add(*length) == frame => *length += 1,
            _ => runs.push((frame, 1)),
        }
    }
    runs
}

/// Table and model side by side.
struct Pair<'a> {
    table: OwnedRange<&'a Arena>,
    tables: ArenaTables<'a>,
    tlb: Tlb<&'a ModelTlb>,
    model: Model,
}

impl Pair<'_> {
    fn map(
        &mut self,
        start: u64,
        frames: &[Pfn],
        shape: Shape,
        protection: Protection,
        largest: PageSize,
    ) -> Result<(), MapError> {
        let (table, tables) = (&mut self.table, &mut self.tables);
        let start = page(start);
        let runs = runs(frames);
        let iter = Runs::new(runs.iter().copied(), frames.len() as u64);
        match (shape, &*runs) {
            (Shape::Range, &[(first, count)]) => {
                let range = first..first.add(count);
                table.map(start, range, protection, largest, tables)
            }
            (Shape::SetAside, _) => {
                let mut map = |mut tables: Tables| {
                    table.map_owned(start, 'x', iter.clone(), protection, largest, &mut tables)
                };
                let mapped = match map(Tables::NONE) {
                    Err((
                        MapError::OutOfTables {
                            tables: missing, ..
                        },
                        'x',
                    )) => map(tables.allocate_tables(missing).unwrap()),
                    mapped => mapped,
                };
                let mapping = mapped.map_err(|(error, _)| error)?;
                assert_eq!(mapping.start(), start);
                assert_eq!(mapping.pages(), frames.len() as u64);
                Ok(())
            }
            (Shape::Runs, _) => table.map(start, iter, protection, largest, tables),
            _ => table.map(start, frames, protection, largest, tables),
        }
    }

    /// Takes tables that the tree has no use for any more. Returns how many.
    fn give_back(&self, mut tables: Tables) -> u64 {
        let count = tables.count();
        // SAFETY: the frames are the arena's.
        while let Some(frame) = unsafe { tables.pop(self.tables.arena) } {
            let words = (0..PAGE_SIZE).step_by(8);
            assert!(
                words
                    .map(|at| self.tables.arena.read(PhysAddr(frame.address().0 + at)))
                    .all(|word| word == 0)
            );
        }
        count
    }

    /// Runs one operation on both.
    fn step(&mut self, operation: &Operation) -> Result<(), TestCaseError> {
        match *operation {
            Operation::Map(start, ref frames, shape, protection, largest) => {
                let before = self.tables.next;
                let result = self.map(start, frames, shape, protection, largest);
                let expected = self.model.map(start, frames, protection, largest);
                prop_assert_eq!(result, expected.map(|_| ()));
                let made = expected.unwrap_or(0);
                prop_assert_eq!(self.tables.next, before.add(made), "tables");
            }
            Operation::Unmap(start, pages) => {
                let result = self.table.unmap(page(start), pages);
                let result = result.map(|pending| pending.flush(&self.tlb));
                prop_assert_eq!(result, self.model.unmap(start, pages));
            }
            Operation::LetGo(start, pages) => {
                if self.model.whole_leaves(start, pages).is_ok() {
                    let mapping = Mapping::new(page(start), pages, ());
                    let pending = self.table.unmap_borrowed(mapping);
                    pending.unwrap().flush(&self.tlb);
                    self.model.unmap(start, pages).unwrap();
                }
            }
            Operation::Protect(start, pages, protection) => {
                let result = self.table.protect(page(start), pages, protection);
                let result = result.map(|pending| pending.flush(&self.tlb));
                let expected = self.model.change(start, pages, |_, leaf| {
                    leaf.protection = protection;
                    leaf.used = true;
                });
                prop_assert_eq!(result, expected);
            }
            Operation::Remap(start, ref frames, shape) => {
                let runs = runs(frames);
                let iter = Runs::new(runs.iter().copied(), frames.len() as u64);
                let result = match (shape, &*runs) {
                    (Shape::Range, &[(first, count)]) => {
                        self.table.remap(page(start), first..first.add(count))
                    }
                    (Shape::Runs | Shape::SetAside, _) => self.table.remap(page(start), iter),
                    _ => self.table.remap(page(start), &**frames),
                };
                let result = result.map(|pending| pending.flush(&self.tlb));
                prop_assert_eq!(result, self.model.remap(start, frames));
            }
            Operation::Harvest(start, pages) => {
                let mut found = Vec::new();
                let result = self.table.harvest(page(start), pages, |address, usage| {
                    assert_eq!(usage.accessed, usage.dirty);
                    found.push((address, usage.size, usage.dirty));
                });
                let result = result.map(|pending| pending.flush(&self.tlb));
                let mut expected = Vec::new();
                let model = self.model.change(start, pages, |first, leaf| {
                    expected.push((page(first), leaf.size, leaf.used));
                    leaf.used = false;
                });
                prop_assert_eq!(result, model);
                prop_assert_eq!(found, expected);
            }
            Operation::Split(number) => {
                let result = self.table.split(page(number), &mut self.tables);
                let result = result.map(|pending| pending.flush(&self.tlb));
                prop_assert_eq!(result, self.model.split(number));
            }
            Operation::Collapse(number, size) => {
                let result = self.table.collapse(page(number), size);
                let result = result.map(|pending| pending.flush(&self.tlb));
                let result = result.map(|old| self.give_back(self.table.clear(old)));
                prop_assert_eq!(result, self.model.collapse(number, size).map(|()| 1));
            }
            Operation::Release(start, pages) => {
                let pending = self.table.release_tables(page(start), pages);
                let tables = pending.unwrap().flush(&self.tlb);
                prop_assert_eq!(self.give_back(tables), self.model.release(start, pages));
            }
        }
        Ok(())
    }

    /// Every leaf is the model's, whichever way one looks, and none is stale.
    fn compare(&self, cache: &ModelTlb) -> Result<(), TestCaseError> {
        validate(&self.table);
        let found = leaves(&self.table).into_iter();
        let found = found.map(|(start, leaf)| {
            let frame = leaf.address.frame();
            (start, frame, leaf.size(), leaf.protection())
        });
        let expected = self.model.leaves.iter();
        let expected =
            expected.map(|(&first, leaf)| (page(first), leaf.frame, leaf.size, leaf.protection));
        prop_assert_eq!(found.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
        let near = (BORDER - 16..BORDER + 32).chain(BORDER + 496..BORDER + 532);
        for number in near.chain((BORDER - 600..BORDER + 1600).step_by(37)) {
            let found = self.table.translate(VirtAddr(page(number).0 + 5));
            let expected = self.model.leaf(number).map(|(first, leaf)| {
                let address = leaf.frame.add(number - first).address().0 + 5;
                Translation::new(PhysAddr(address), leaf.size, leaf.protection)
            });
            prop_assert_eq!(found, expected, "page {}", number);
            let parts = found.map(|found| (found.size(), found.protection()));
            let leaf = self
                .model
                .leaf(number)
                .map(|(_, leaf)| (leaf.size, leaf.protection));
            prop_assert_eq!(parts, leaf, "page {}", number);
            let access = cache.access(&self.table, page(number));
            prop_assert!(access.is_ok(), "{:?}", access);
        }
        prop_assert_eq!(cache.stale_table(&self.table), None);
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 4 } else { 60 }))]

    #[test]
    fn agrees_with_the_model(
        operations in prop::collection::vec(operations(), 1..OPERATIONS),
        levels in prop_oneof![Just(Levels::Four), Just(Levels::Five)],
    ) {
        let arena = Arena::new(FRAMES);
        let cache = ModelTlb::default();
        let (table, tables) = table(&arena, levels, FRAMES - 1);
        let model = Model { depth: levels as u32 - 1, ..Model::default() };
        let mut pair = Pair { table, tables, tlb: Tlb::new(&cache, 33), model };
        for operation in &operations {
            pair.step(operation)?;
            pair.compare(&cache)?;
        }
    }
}
