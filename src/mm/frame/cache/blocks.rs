//! Lists of the blocks that are cached beside single frames: those of orders 1 to 3, which kernels ask for most, and of order 9, a
//! 2 MiB page.
//!
//! They take from the allocator and give back a few blocks at a time, so that no operation waits for many.

use crate::mm::address::Order;

/// Blocks that a list can hold.
const ROOM: usize = 32;
/// Most blocks of order 9 on a list: 16 MiB.
const MOST_LARGE: usize = 8;
/// A CPU's list holds its share of this part of the zone at most.
const PART_OF_ZONE: u64 = 16;

/// The orders that have a list.
const ORDERS: [u32; 4] = [1, 2, 3, 9];

/// The lists of one CPU.
#[derive(Debug)]
pub(super) struct Blocks([BlockStack; ORDERS.len()]);

/// Blocks of one order, by the index of their first frame in the zone: the one that was freed last is on top.
#[derive(Debug)]
pub(super) struct BlockStack {
    blocks: [u32; ROOM],
    len: usize,
    most: usize,
    order: u32,
}

impl Blocks {
    /// Empty lists for a zone of `frames` frames on a machine of `cpus` CPUs.
    pub(super) fn new(frames: u64, cpus: u64) -> Self {
        let share = frames / PART_OF_ZONE / cpus.max(1);
        Blocks(ORDERS.map(|order| {
            let most = if order == 9 { MOST_LARGE } else { ROOM };
            BlockStack {
                blocks: [0; ROOM],
                len: 0,
                most: most.min((share >> order) as usize),
                order,
            }
        }))
    }

    /// Whether an order has a list.
    pub(super) const fn has_list(order: Order) -> bool {
        matches!(order.get(), 1..=3 | 9)
    }

    /// The list of an order, if it has one.
    #[inline]
    pub(super) fn list(&mut self, order: Order) -> Option<&mut BlockStack> {
        match order.get() {
            order @ 1..=3 => Some(&mut self.0[usize::from(order) - 1]),
            9 => Some(&mut self.0[3]),
            _ => None,
        }
    }

    /// All lists.
    pub(super) fn lists(&mut self) -> impl Iterator<Item = &mut BlockStack> {
        self.0.iter_mut()
    }

    /// Frames of all blocks on the lists.
    pub(super) fn frames(&self) -> usize {
        self.0.iter().map(|list| list.len << list.order).sum()
    }
}

impl BlockStack {
    /// The order of the blocks.
    pub(super) fn order(&self) -> u32 {
        self.order
    }

    /// Blocks that are taken or given back at a time: an eighth of what the list holds.
    pub(super) fn portion(&self) -> usize {
        self.most.div_ceil(8)
    }

    /// Adds a block; `false` if the list is full.
    #[inline]
    pub(super) fn push(&mut self, index: u32) -> bool {
        if self.len >= self.most {
            return false;
        }
        self.blocks[self.len % ROOM] = index;
        self.len += 1;
        true
    }

    /// Takes the block that was added last.
    #[inline]
    pub(super) fn pop(&mut self) -> Option<u32> {
        self.len = self.len.checked_sub(1)?;
        Some(self.blocks[self.len % ROOM])
    }

    /// Takes the `count` blocks off that have been on the list longest, or all if there are fewer, and gives them to `back`.
    pub(super) fn give_back(&mut self, count: usize, mut back: impl FnMut(u32)) {
        let count = count.min(self.len);
        self.blocks[..count].iter().copied().for_each(&mut back);
        self.blocks.copy_within(count..self.len, 0);
        self.len -= count;
    }

    /// Takes all blocks off.
    pub(super) fn empty(&mut self, back: impl FnMut(u32)) {
        self.give_back(self.len, back);
    }
}
