//! The list and the tree side by side, instant fit beside a map of what is taken, and each against a recount of all it keeps.

use std::collections::BTreeMap;
use std::mem::MaybeUninit;
use std::vec::Vec;

use proptest::prelude::*;

use super::*;

const REGION: u64 = 0xffff_8980_0000_0000;

fn region(pages: u64) -> Range<VirtAddr> {
    VirtAddr(REGION)..VirtAddr(REGION + pages * PAGE_SIZE)
}

fn memory<S>(slots: usize) -> Vec<MaybeUninit<S>> {
    (0..slots).map(|_| MaybeUninit::uninit()).collect()
}

fn nodes(areas: usize) -> Vec<MaybeUninit<TreeNode>> {
    memory(TreeNode::enough_for(areas))
}

fn tags<T>(areas: usize) -> Vec<MaybeUninit<TagSlot<T>>> {
    memory(TagSlot::<T>::enough_for(areas))
}

fn page(place: &Place) -> u64 {
    (place.start().0 - REGION) / PAGE_SIZE
}

/// A request and what it becomes: an area at once, or one that is freed by address, by slot, or later with others.
#[derive(Clone, Debug)]
enum Operation {
    Reserve { pages: u64, align: u64 },
    Cancel(usize),
    Free(usize),
    FreeBySlot(usize),
    Defer(usize),
    CancelDeferred,
}

fn operations() -> impl Strategy<Value = Operation> {
    let shift = prop_oneof![4 => Just(12u32), 2 => 0u32..20, 1 => 0u32..64];
    prop_oneof![
        12 => (1u64..9, shift).prop_map(|(pages, shift)| Operation::Reserve { pages, align: 1 << shift }),
        1 => Just(Operation::Reserve { pages: 0, align: 1 }),
        2 => (0usize..64).prop_map(Operation::Cancel),
        4 => (0usize..64).prop_map(Operation::Free),
        4 => (0usize..64).prop_map(Operation::FreeBySlot),
        4 => (0usize..64).prop_map(Operation::Defer),
        2 => Just(Operation::CancelDeferred),
    ]
}

/// One search under test, with its areas in the order in which they came.
struct Side<S> {
    search: S,
    areas: Vec<(VirtAddr, u32)>,
    deferred: Places,
}

impl<S: AreaSearch<Contents = u64>> Side<S> {
    fn new(search: S) -> Self {
        let (areas, deferred) = (Vec::new(), Places::default());
        Side {
            search,
            areas,
            deferred,
        }
    }

    fn apply(&mut self, operation: &Operation) -> Result<Option<VirtAddr>, SearchError> {
        match *operation {
            Operation::Reserve { pages, align } => {
                let fit = self.search.find(pages, align)?;
                let start = fit.start();
                let slot = fit.occupy(start.0);
                self.areas.push((start, slot));
                return Ok(Some(start));
            }
            Operation::CancelDeferred => {
                self.search.next_flush();
                while self.deferred.count() > 0 {
                    self.search.cancel_some(&mut self.deferred, 3);
                }
            }
            Operation::Cancel(index) if index < self.areas.len() => {
                // Not taken after all, and taken away again.
                let (start, slot) = self.areas[index];
                assert_eq!(
                    self.search.area_at(start, slot).unwrap().contents(),
                    Some(&start.0)
                );
                let (place, contents) = self.search.area_at(start, slot).unwrap().take().unwrap();
                self.search.put_back(place, contents);
            }
            Operation::Free(index) | Operation::FreeBySlot(index) | Operation::Defer(index)
                if index < self.areas.len() =>
            {
                let (start, slot) = self.areas.swap_remove(index);
                let taken = match operation {
                    Operation::Free(_) => {
                        let slot = self.search.slot_of(start).unwrap();
                        self.search.area_at(start, slot).and_then(Owned::take)
                    }
                    _ => self.search.area_at(start, slot).and_then(Owned::take),
                };
                let (place, contents) = taken.unwrap();
                assert_eq!(contents, start.0);
                assert!(self.search.get(start).is_none());
                assert!(self.search.is_taken(start));
                match operation {
                    Operation::Defer(_) => self.search.push(&mut self.deferred, place),
                    _ => self.search.cancel(place),
                }
            }
            _ => {}
        }
        Ok(None)
    }

    fn listed(&self) -> Vec<(Range<VirtAddr>, u64)> {
        self.search
            .areas()
            .map(|(range, &contents)| (range, contents))
            .collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 4 } else { 512 }))]

    /// The same requests get the same addresses from both, whatever was freed before and in whatever way; and the same
    /// errors.
    #[test]
    fn both_searches_agree(pages in 1u64..200, operations in prop::collection::vec(operations(), 1..160)) {
        let (mut list, mut tree, mut nodes) = (memory(40), memory(40), nodes(40));
        let mut list = Side::new(FirstFit::new(region(pages), &mut list));
        let mut tree = Side::new(GapTree::new(region(pages), &mut tree, &mut nodes));
        for operation in &operations {
            prop_assert_eq!(list.apply(operation), tree.apply(operation), "{:?}", operation);
            tree.search.validate();
            prop_assert_eq!(list.listed(), tree.listed());
            prop_assert_eq!(list.search.taken(), tree.search.taken());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 4 } else { 512 }))]

    /// Wherever instant fit puts an area, it was free and is at a multiple of what was asked for; and it refuses only what fits
    /// nowhere. Requests of `scale` times as many pages share bins with gaps that are too small.
    #[test]
    fn instant_fit_takes_what_is_free(
        pages in 1u64..200,
        scale in 1u64..40,
        operations in prop::collection::vec(operations(), 1..160),
    ) {
        const AREAS: usize = 40;
        let region = region(pages * scale);
        let mut memory = tags(AREAS);
        let mut side = Side::new(InstantFit::new(region.clone(), &mut memory));
        // By start, those that wait among them.
        let mut taken: BTreeMap<u64, u64> = BTreeMap::new();
        let mut waiting = Vec::new();
        for mut operation in operations {
            if let Operation::Reserve { pages, .. } = &mut operation {
                *pages *= scale;
            }
            let areas = side.areas.clone();
            let outcome = side.apply(&operation);
            side.search.validate();
            match operation {
                Operation::Reserve { pages, align } => {
                    let Ok((bytes, align)) = size_and_align(pages, align) else {
                        let align = align.max(PAGE_SIZE);
                        prop_assert_eq!(outcome, Err(SearchError::NoGap { pages, align }));
                        continue;
                    };
                    let starts = taken.keys().copied().chain([region.end.0]);
                    let ends = [region.start.0].into_iter().chain(taken.values().copied());
                    let mut gaps = ends.zip(starts);
                    match outcome {
                        Ok(Some(VirtAddr(start))) => {
                            prop_assert_eq!(start % align, 0);
                            prop_assert!(gaps.any(|(low, high)| low <= start && start + bytes <= high));
                            taken.insert(start, start + bytes);
                        }
                        Err(SearchError::NoGap { .. }) => {
                            prop_assert!(gaps.all(|(low, high)| lowest_in(low..high, bytes, align).is_none()));
                        }
                        other => {
                            prop_assert_eq!(other, Err(SearchError::NoSlot { slots: AREAS }));
                            prop_assert_eq!(taken.len(), AREAS);
                        }
                    }
                }
                Operation::Free(index) | Operation::FreeBySlot(index) if index < areas.len() => {
                    taken.remove(&areas[index].0.0);
                }
                Operation::Defer(index) if index < areas.len() => waiting.push(areas[index].0.0),
                Operation::CancelDeferred => {
                    for start in waiting.drain(..) {
                        taken.remove(&start);
                    }
                }
                _ => {}
            }
            prop_assert_eq!(side.search.taken(), taken.len());
            let listed = side.listed().into_iter().map(|(range, _)| (range.start.0, range.end.0));
            let live = taken.iter().filter(|(start, _)| !waiting.contains(start));
            prop_assert!(listed.eq(live.map(|(&start, &end)| (start, end))));
        }
    }
}

fn reserve(
    search: &mut impl AreaSearch<Contents = ()>,
    pages: u64,
    align: u64,
) -> Result<Place, SearchError> {
    let fit = search.find(pages, align)?;
    let start = fit.start();
    let slot = fit.occupy(());
    Ok(search.area_at(start, slot).unwrap().take().unwrap().0)
}

/// `get_vm_area` of 2.4, step by step.
fn steps_of_2_4(mut search: impl AreaSearch<Contents = ()>) {
    let places = [1, 2, 3, 1].map(|pages| {
        let place = reserve(&mut search, pages + 1, 1).unwrap();
        (page(&place), place)
    });
    assert_eq!(places.each_ref().map(|(at, _)| *at), [0, 2, 5, 9]);
    let [_, (_, second), ..] = places;
    search.cancel(second);
    let again = [1, 2].map(|pages| page(&reserve(&mut search, pages + 1, 1).unwrap()));
    assert_eq!(again, [2, 11]);
}

#[test]
fn the_steps_of_2_4() {
    steps_of_2_4(FirstFit::new(region(64), &mut memory(8)));
    steps_of_2_4(GapTree::new(region(64), &mut memory(8), &mut nodes(8)));
}

fn refusals(mut search: impl AreaSearch<Contents = ()>, slots: usize) {
    let no_gap = |pages, align| Err(SearchError::NoGap { pages, align });
    let refused = |search: &mut dyn FnMut(u64, u64) -> Result<Place, SearchError>| {
        assert_eq!(search(0, 1), no_gap(0, 4096));
        assert_eq!(search(u64::MAX, 4096), no_gap(u64::MAX, 4096));
        assert_eq!(search(1 << 52, 4096), no_gap(1 << 52, 4096));
        // The first request of all, larger than the region: 2.4 lets it pass.
        assert_eq!(search(17, 4096), no_gap(17, 4096));
        assert_eq!(search(1, 1 << 63), no_gap(1, 1 << 63));
    };
    refused(&mut |pages, align| reserve(&mut search, pages, align));
    // Beside a gap between two areas, too.
    let [low, high] = [1, 1].map(|pages| reserve(&mut search, pages, 1).unwrap());
    search.cancel(low);
    refused(&mut |pages, align| reserve(&mut search, pages, align));
    search.cancel(high);
    let whole = reserve(&mut search, 16, 1).unwrap();
    assert_eq!(reserve(&mut search, 1, 1), no_gap(1, 4096));
    search.cancel(whole);
    let places: Vec<_> = (0..slots)
        .map(|_| reserve(&mut search, 1, 1).unwrap())
        .collect();
    assert_eq!(
        reserve(&mut search, 1, 1),
        Err(SearchError::NoSlot { slots })
    );
    for place in places {
        search.cancel(place);
    }
    assert_eq!(search.taken(), 0);
    let whole = reserve(&mut search, 16, 1).unwrap();
    search.cancel(whole);
}

#[test]
fn what_does_not_fit_is_refused() {
    refusals(FirstFit::new(region(16), &mut memory(3)), 3);
    refusals(GapTree::new(region(16), &mut memory(3), &mut nodes(3)), 3);
    refusals(InstantFit::new(region(16), &mut tags(3)), 3);
    let mut memory = memory(3);
    let mut without_books = InstantFit::<()>::new(region(16), &mut memory);
    let refused = reserve(&mut without_books, 1, 1);
    assert_eq!(refused, Err(SearchError::NoSlot { slots: 0 }));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 1 } else { 24 }))]

    /// With enough areas for a tree of four levels: it grows at random, loses all but a few in one order or another, which
    /// joins and drops nodes everywhere, and grows again. Always the addresses of the list, and always as a recount says.
    #[test]
    fn a_deep_tree_agrees(
        sizes in prop::collection::vec((1u64..9, 0u32..3), if cfg!(miri) { 30..60 } else { 200..1500 }),
        step in prop_oneof![Just(1usize), Just(usize::MAX), 2usize..900],
        rounds in 1usize..4,
        left in 0usize..30,
    ) {
        let count = sizes.len();
        let (mut list, mut tree, mut nodes) = (memory(count), memory(count), nodes(count));
        let mut list = Side::new(FirstFit::new(region(1 << 20), &mut list));
        let mut tree = Side::new(GapTree::new(region(1 << 20), &mut tree, &mut nodes));
        let mut at = 0usize;
        for _ in 0..rounds {
            for &(pages, shift) in sizes.iter().take(count - list.areas.len()) {
                let reserve = Operation::Reserve { pages, align: PAGE_SIZE << shift };
                prop_assert_eq!(list.apply(&reserve), tree.apply(&reserve));
            }
            tree.search.validate();
            while list.areas.len() > left {
                at = at.wrapping_add(step) % list.areas.len();
                let free = Operation::FreeBySlot(at);
                list.apply(&free).unwrap();
                tree.apply(&free).unwrap();
                if list.areas.len().is_multiple_of(16) {
                    tree.search.validate();
                }
            }
            tree.search.validate();
            prop_assert_eq!(list.listed(), tree.listed());
        }
    }
}

/// Rooms of 2^32 pages and more, which a node does not distinguish.
#[test]
fn gaps_wider_than_a_room_can_tell() {
    let mut memory = (memory(8), nodes(8));
    let mut tree = GapTree::<()>::new(region(1 << 34), &mut memory.0, &mut memory.1);
    let low = reserve(&mut tree, 1, 1).unwrap();
    let high = reserve(&mut tree, 1, 1 << 46).unwrap();
    let gap = page(&high) - 1;
    assert!(gap > 1 << 33);
    tree.validate();
    let wide = reserve(&mut tree, gap - 1, 1).unwrap();
    assert_eq!(page(&wide), 1);
    tree.validate();
    assert_eq!(page(&reserve(&mut tree, 2, 1).unwrap()), page(&high) + 1);
    tree.cancel(wide);
    tree.validate();
    assert_eq!(page(&reserve(&mut tree, 2, 1).unwrap()), 1);
    tree.validate();
    tree.cancel(high);
    tree.cancel(low);
    tree.validate();
}

/// The lowest bin that is sure to do is served first; then the one below, of which only a gap that was looked at is taken.
#[test]
fn instant_fit_looks_through_the_bin_below_last() {
    let mut memory = tags(16);
    let mut search = InstantFit::<()>::new(region(146), &mut memory);
    // Gaps of these numbers of pages, with an area above each.
    let gaps = [40, 33, 34, 35].map(|pages| {
        let below = reserve(&mut search, pages, 1).unwrap();
        let _ = reserve(&mut search, 1, 1).unwrap();
        below
    });
    let starts = gaps.each_ref().map(page);
    for gap in gaps {
        search.cancel(gap);
    }
    search.validate();
    let mut start_of = |pages| reserve(&mut search, pages, 1).map(|place| page(&place));
    // There is a bin of 32 to 35 pages and one of 40 to 43.
    assert_eq!(start_of(34), Ok(starts[0]));
    let (first, second) = (start_of(34).unwrap(), start_of(34).unwrap());
    assert!(first != second && starts[2..].contains(&first) && starts[2..].contains(&second));
    let (pages, align) = (34, PAGE_SIZE);
    assert_eq!(start_of(34), Err(SearchError::NoGap { pages, align }));
    assert_eq!(start_of(33), Ok(starts[1]));
    search.validate();
}

/// However many areas are freed, from either end or at random, the tree is no deeper than its nodes allow: each but those at the
/// upper end has five entries or more.
#[test]
fn the_tree_stays_shallow() {
    let count = if cfg!(miri) { 200 } else { 20_000 };
    for step in [1, count - 1, 7919] {
        let (mut memory, mut nodes) = (memory(count), nodes(count));
        let mut tree = GapTree::<()>::new(region(2 * count as u64), &mut memory, &mut nodes);
        let mut places: Vec<_> = (0..count)
            .map(|_| Some(reserve(&mut tree, 2, 1).unwrap()))
            .collect();
        let mut at = 0;
        for _ in 0..count {
            at = (at + step) % count;
            if at % 2 == 0 {
                tree.cancel(places[at].take().unwrap());
            }
        }
        assert!(tree.depth() <= 7, "step {step}: depth {}", tree.depth());
        tree.validate();
    }
}
