//! A zone without a lock, in the manner of LLFree (Wrenger and others, USENIX ATC 2023): every change is a compare-exchange.
//!
//! ```text
//! CPU         a reservation: a tree that this CPU takes from, and how many of its free frames it may take
//! tree        4,096 frames: how many are free and no CPU's, and whether a CPU has reserved it
//! huge frame  512 frames: a count of free ones, and a bit each (lower)
//! ```
//!
//! A free frame is counted once above, in its tree or in the reservation of a CPU, and who takes frames first takes them off such a
//! count: what is left to do below succeeds but where free frames lie in pieces. CPUs that take from trees of their own share no
//! line of memory. A CPU whose reservation runs out reserves another tree, one with as few free frames as will do, so that whole
//! ones stay whole. The last frames are taken wherever they are, out of the reservations of others, too.
//!
//! Frames have descriptors as under the other back ends: a block's order stands in its head's, and a free exchanges it for "no
//! head". So a bad free is an error here as well, even one on two CPUs at once.

mod lower;
mod many;

use core::sync::atomic::Ordering::{AcqRel, Relaxed};

use super::descriptor::{ALLOCATED, CHUNK_FRAMES, Descriptor, NOT_A_HEAD, Table};
use super::sync::AtomicU64;
use super::whole_zone::WholeZone;
use super::{AllocError, Block, FreeError};
use crate::mm::address::{FrameRange, Order, Pfn};
use lower::{HUGE_FRAMES, Lower, WORDS};

/// Huge frames of a tree, and its frames.
const TREE_HUGES: usize = 8;
const TREE_FRAMES: usize = TREE_HUGES * HUGE_FRAMES;
/// In the word of a tree: a CPU has reserved it. The count of its free frames that are no CPU's is below.
const RESERVED: u64 = 1 << 63;
/// In the word of a reservation: the number of the tree, plus one, above; frames that the CPU may take below.
const TREE_SHIFT: u32 = 32;
const FRAMES: u64 = (1 << TREE_SHIFT) - 1;
/// Words between the reservations of two CPUs: they never lie in one line of 64 bytes, wherever the first one lies, nor in one
/// pair of lines, which CPUs fetch together.
const STRIDE: usize = 16;
/// Trees that a request tries before it takes what there is anywhere.
const TRIES: usize = 4;
/// The largest order.
const LARGEST: u32 = 10;

/// A zone whose frames CPUs take and give back at the same time.
pub struct TreeFrames<'m> {
    start: Pfn,
    frames: u64,
    table: Table<'m>,
    lower: Lower<'m>,
    trees: &'m [AtomicU64],
    cpus: &'m [AtomicU64],
}

impl<'m> TreeFrames<'m> {
    /// The descriptors and the words that a zone over `frames` needs, for `cpus` CPUs.
    #[must_use]
    pub fn metadata_size(frames: &FrameRange, cpus: usize) -> (usize, usize) {
        let start = frames.start.0 & !(CHUNK_FRAMES as u64 - 1);
        let chunks = (frames.end.0 - start).div_ceil(CHUNK_FRAMES as u64) as usize;
        let huges = chunks * CHUNK_FRAMES / HUGE_FRAMES;
        let words = huges * WORDS + huges / 2 + huges.div_ceil(TREE_HUGES) + cpus * STRIDE;
        (chunks * CHUNK_FRAMES, words)
    }

    /// A zone that owns `frames`, all of them free. What `descriptors` and `words` hold does not matter. `None` if they are fewer
    /// than [`metadata_size`](Self::metadata_size) says.
    #[must_use]
    pub fn new(
        frames: FrameRange,
        cpus: usize,
        descriptors: &'m mut [Descriptor],
        words: &'m mut [AtomicU64],
    ) -> Option<Self> {
        let (count, needed) = Self::metadata_size(&frames, cpus);
        let words: &'m [AtomicU64] = words.get(..needed)?;
        let table = Table::new(descriptors.get_mut(..count)?);
        let huges = count / HUGE_FRAMES;
        let (bits, words) = words.split_at(huges * WORDS);
        let (pairs, words) = words.split_at(huges / 2);
        let (trees, cpus) = words.split_at(huges.div_ceil(TREE_HUGES));
        let zone = TreeFrames {
            start: Pfn(frames.start.0 & !(CHUNK_FRAMES as u64 - 1)),
            frames: frames.end.0 - frames.start.0,
            table,
            lower: Lower { bits, pairs },
            trees,
            cpus,
        };
        for descriptor in zone.table.from(0) {
            descriptor.set(NOT_A_HEAD);
        }
        (0..huges).for_each(|huge| zone.lower.reset(huge));
        for word in trees.iter().chain(cpus) {
            word.store(0, Relaxed);
        }
        let index = |pfn: Pfn| (pfn.0 - zone.start.0) as usize;
        let (mut next, end) = (index(frames.start), index(frames.end));
        while next < end {
            let largest = next.trailing_zeros().min((end - next).ilog2());
            // A block within a huge frame; a whole one has all of its bits set so far, as others have.
            let order = largest.min(lower::HUGE_ORDER - 1);
            zone.lower.give(next, order);
            zone.trees[next / TREE_FRAMES].fetch_add(1 << order, Relaxed);
            next += 1 << order;
        }
        Some(zone)
    }

    /// The same zone once more: all that it consists of is shared.
    pub(super) fn handle(&self) -> Self {
        TreeFrames { ..*self }
    }

    /// The frame with index 0, where a chunk begins.
    pub(super) fn first_frame(&self) -> Pfn {
        self.start
    }

    /// Frames that there are.
    pub(super) fn frame_count(&self) -> u64 {
        self.frames
    }

    /// The descriptors of all frames.
    pub(super) fn descriptors(&self) -> Table<'m> {
        self.table
    }

    /// The CPU's reservation.
    fn reservation(&self, cpu: usize) -> &AtomicU64 {
        &self.cpus[cpu % (self.cpus.len() / STRIDE) * STRIDE]
    }

    /// Takes a block of 2^order frames for a CPU: the index of its first frame.
    pub(super) fn take_index(&self, cpu: usize, order: u32) -> Option<usize> {
        let frames = 1 << order;
        let reservation = self.reservation(cpu);
        let mut from = 0;
        for _ in 0..TRIES {
            if let Some(tree) = debit_reservation(reservation, frames) {
                if let Some(index) = self.take_in(tree, order) {
                    return Some(index);
                }
                self.credit(reservation, tree, frames);
                // Enough of its frames are free, but they lie in pieces.
                from = tree + 1;
            } else if self.top_up(reservation, frames) {
                continue;
            }
            if !self.reserve(reservation, frames, from) {
                break;
            }
        }
        self.take_anywhere(order)
    }

    /// Takes a block in a tree whose frames were counted off before.
    fn take_in(&self, tree: usize, order: u32) -> Option<usize> {
        let first = tree * TREE_HUGES;
        let end = (first + TREE_HUGES).min(self.lower.pairs.len() * 2);
        self.lower.take(first, end, order)
    }

    /// Counts frames of a tree as free: in the reservation, if that is of this tree, or in the tree.
    fn credit(&self, reservation: &AtomicU64, tree: usize, frames: u64) {
        let more = |word: u64| (word >> TREE_SHIFT == tree as u64 + 1).then(|| word + frames);
        if reservation.fetch_update(AcqRel, Relaxed, more).is_err() {
            self.trees[tree].fetch_add(frames, AcqRel);
        }
    }

    /// Adds to a reservation what others gave back to its tree. Whether it has as many frames then.
    fn top_up(&self, reservation: &AtomicU64, frames: u64) -> bool {
        let word = reservation.load(Relaxed);
        let Some(tree) = (word >> TREE_SHIFT).checked_sub(1) else {
            return false;
        };
        let tree = tree as usize;
        if (word & FRAMES) + (self.trees[tree].load(Relaxed) & !RESERVED) < frames {
            return false;
        }
        let found = self.trees[tree].fetch_and(RESERVED, AcqRel) & !RESERVED;
        self.credit(reservation, tree, found);
        found > 0
    }

    /// Reserves the next tree from `from` on, round and round, with as many free frames that nobody has reserved: one that is not
    /// whole, if there is one. What is left of the one before goes back to its tree.
    fn reserve(&self, reservation: &AtomicU64, frames: u64, from: usize) -> bool {
        let now = (reservation.load(Relaxed) >> TREE_SHIFT) as usize;
        let first = if from > 0 { from } else { now };
        let trees = self.trees.len();
        for whole in [false, true] {
            for tree in (first..first + trees).map(|tree| tree % trees) {
                let claim = |word: u64| {
                    let fits =
                        (frames..RESERVED).contains(&word) && (whole || word < TREE_FRAMES as u64);
                    fits.then_some(RESERVED)
                };
                let Ok(found) = self.trees[tree].fetch_update(AcqRel, Relaxed, claim) else {
                    continue;
                };
                let old = reservation.swap((tree as u64 + 1) << TREE_SHIFT | found, AcqRel);
                if let Some(old_tree) = (old >> TREE_SHIFT).checked_sub(1) {
                    let left = old & FRAMES;
                    let back = |word: u64| Some((word & !RESERVED) + left);
                    let _ = self.trees[old_tree as usize].fetch_update(AcqRel, Relaxed, back);
                }
                return true;
            }
        }
        false
    }

    /// Takes a block wherever there is one: in any tree, reserved or not, and out of the reservation of any CPU.
    #[cold]
    fn take_anywhere(&self, order: u32) -> Option<usize> {
        let frames = 1 << order;
        for (number, tree) in self.trees.iter().enumerate() {
            let less = |word: u64| ((word & !RESERVED) >= frames).then(|| word - frames);
            if tree.fetch_update(AcqRel, Relaxed, less).is_ok() {
                if let Some(index) = self.take_in(number, order) {
                    return Some(index);
                }
                tree.fetch_add(frames, AcqRel);
            }
        }
        for reservation in self.cpus.iter().step_by(STRIDE) {
            if let Some(tree) = debit_reservation(reservation, frames) {
                if let Some(index) = self.take_in(tree, order) {
                    return Some(index);
                }
                self.credit(reservation, tree, frames);
            }
        }
        self.take_joined(order)
    }

    /// Takes a block whose frames are counted partly in a tree and partly in reservations of it.
    fn take_joined(&self, order: u32) -> Option<usize> {
        let frames = 1 << order;
        self.cpus.iter().step_by(STRIDE).find_map(|reservation| {
            if !self.top_up(reservation, frames) {
                return None;
            }
            let tree = debit_reservation(reservation, frames)?;
            let index = self.take_in(tree, order);
            if index.is_none() {
                self.credit(reservation, tree, frames);
            }
            index
        })
    }

    /// Puts the block of 2^order frames at an index back, whose descriptor is `held`. `false`, and nothing changed, if it is not.
    pub(super) fn give_index(&self, cpu: usize, index: usize, order: u32, held: u64) -> bool {
        let given = self
            .table
            .get(index)
            .is_some_and(|head| head.exchange(held, NOT_A_HEAD) && self.lower.give(index, order));
        if given {
            self.credit(self.reservation(cpu), index / TREE_FRAMES, 1 << order);
        }
        given
    }

    /// Allocates a block of 2^order frames for a CPU.
    ///
    /// # Errors
    ///
    /// There is none.
    pub(super) fn alloc_pages(&self, cpu: usize, order: Order) -> Result<Block, AllocError> {
        self.take(cpu, order)
            .ok_or(AllocError::OutOfFrames { order })
    }

    /// Frees a CPU's block of 2^order frames at `pfn`.
    ///
    /// # Errors
    ///
    /// Exactly this block is not allocated; then nothing changes.
    pub(super) fn free_pages(&self, cpu: usize, pfn: Pfn, order: Order) -> Result<(), FreeError> {
        let index = pfn.0.wrapping_sub(self.start.0) as usize;
        let exponent = u32::from(order.get());
        match self.give_index(cpu, index, exponent, ALLOCATED | u64::from(exponent)) {
            true => Ok(()),
            false => Err(self.diagnose(pfn, order)),
        }
    }

    /// Why a block cannot be freed.
    #[cold]
    fn diagnose(&self, pfn: Pfn, order: Order) -> FreeError {
        let index = pfn.0.wrapping_sub(self.start.0) as usize;
        let Some(head) = self.table.get(index) else {
            return FreeError::OutOfRange { pfn };
        };
        if !pfn.0.is_multiple_of(order.frames()) {
            return FreeError::Misaligned { pfn, order };
        }
        let allocated = |word: u64| Order::new(word.wrapping_sub(ALLOCATED) as u8);
        if (ALLOCATED..=ALLOCATED + u64::from(LARGEST)).contains(&head.word())
            && let Some(allocated) = allocated(head.word())
        {
            return FreeError::WrongOrder {
                pfn,
                order,
                allocated,
            };
        }
        let around = (1..=LARGEST).find_map(|order| {
            let word = self.table.get(index & !((1 << order) - 1))?.word();
            (word == ALLOCATED | u64::from(order)).then(|| allocated(word))?
        });
        match around {
            Some(order) => FreeError::InsideBlock { pfn, order },
            None => FreeError::AlreadyFree { pfn },
        }
    }
}

/// Takes frames off a reservation, if it has as many: the tree that they are in.
fn debit_reservation(reservation: &AtomicU64, frames: u64) -> Option<usize> {
    let less = |word: u64| (word & FRAMES >= frames).then(|| word - frames);
    let word = reservation.fetch_update(AcqRel, Relaxed, less).ok()?;
    Some((word >> TREE_SHIFT) as usize - 1)
}

impl WholeZone for TreeFrames<'_> {
    fn take(&self, cpu: usize, order: Order) -> Option<Block> {
        let exponent = u32::from(order.get());
        let index = self.take_index(cpu, exponent)?;
        self.table.get(index)?.set(ALLOCATED | u64::from(exponent));
        Some(Block::new(self.start.add(index as u64), exponent))
    }

    fn give(&self, cpu: usize, pfn: Pfn, order: Order) -> Result<(), FreeError> {
        self.free_pages(cpu, pfn, order)
    }

    fn take_many(&self, cpu: usize, frames: &mut [Pfn]) -> usize {
        let mut taken = 0;
        while taken < frames.len() {
            let mut places = frames[taken..].iter_mut();
            let most = places.len() as u64;
            let put = |index| {
                if let Some(place) = places.next() {
                    *place = self.start.add(index as u64);
                }
            };
            match self.take_singles(cpu, most, ALLOCATED, put) {
                0 => break,
                count => taken += count as usize,
            }
        }
        taken
    }

    fn give_many(&self, cpu: usize, frames: &[Pfn]) -> Result<(), FreeError> {
        let index = |pfn: &Pfn| pfn.0.wrapping_sub(self.start.0) as usize;
        let release = |head: &Descriptor| head.exchange(ALLOCATED, NOT_A_HEAD);
        match self.give_singles(cpu, frames.iter().map(index), release) {
            Ok(()) => Ok(()),
            Err(place) => Err(self.diagnose(frames[place], Order::ZERO)),
        }
    }

    fn free_frames(&self) -> u64 {
        let trees = self.trees.iter().map(|word| word.load(Relaxed) & !RESERVED);
        let reserved = self.cpus.iter().step_by(STRIDE);
        trees.sum::<u64>()
            + reserved
                .map(|word| word.load(Relaxed) & FRAMES)
                .sum::<u64>()
    }

    fn present_frames(&self) -> u64 {
        self.frames
    }

    fn validate(&self) -> Result<(), Pfn> {
        let mut above = 0;
        for (number, tree) in self.trees.iter().enumerate() {
            let first = number * TREE_HUGES;
            let end = (first + TREE_HUGES).min(self.lower.pairs.len() * 2);
            let mut below = 0;
            for huge in first..end {
                let free = self.lower.free(huge);
                if free != self.lower.free_by_bits(huge) {
                    return Err(self.start.add((huge * HUGE_FRAMES) as u64));
                }
                below += free;
            }
            let reserved = self.cpus.iter().step_by(STRIDE).map(|word| {
                let word = word.load(Relaxed);
                match word >> TREE_SHIFT == number as u64 + 1 {
                    true => word & FRAMES,
                    false => 0,
                }
            });
            let counted = (tree.load(Relaxed) & !RESERVED) + reserved.sum::<u64>();
            if counted != below {
                return Err(self.start.add((number * TREE_FRAMES) as u64));
            }
            above += counted;
        }
        match above == self.free_frames() {
            true => Ok(()),
            false => Err(self.start),
        }
    }
}
