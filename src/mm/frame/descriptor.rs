//! Frame descriptors: one 64-bit word for each frame, which says what the frame is and links it into a list.
//!
//! ```text
//! bit 63        36 35         8 7   4 3   0
//!     +-----------+-----------+-----+-----+
//!     |   next    | previous  |state|order|   free: a link is an index into the zone's descriptors + 1; 0 is "none"
//!     +-----------+-----------+-----+-----+
//!     |     next in list      |state|order|   listed: frame number + 1 of the next block on its owner's list
//!     +-----------+-----------+-----+-----+
//!     |   next    | previous  |state|order|   chained: on its owner's list, with the links that it had on the free list
//!     +-----------+-----------+-----+-----+
//! ```
//!
//! Only the descriptor of a block's first frame (its head) counts; those of the other frames never say "allocated", whatever
//! else they may still say. As the word holds links and state together, one compare with a constant answers the questions of
//! the hot paths: `ALLOCATED | order` is a block that its owner may free, `FREE | order` a free block alone on its list.
//! Links go through this array and never through the frame, so frames outside the direct map can be on lists too.

use core::sync::atomic::Ordering;

use super::sync::AtomicU64;
use crate::mm::address::Pfn;

/// Frames whose descriptors come to life together, and the alignment of zones: the largest block there can be.
pub(super) const CHUNK_FRAMES: usize = 1024;

/// The descriptors of one largest block. Buddies never leave their chunk.
pub(super) type Chunk = [Descriptor; CHUNK_FRAMES];

/// The memory that describes one frame, handed in by the constructor of the allocator. Its content does not matter until the
/// allocator first writes it: every value is valid, so uninitialised (but mapped) memory may be cast to it.
///
/// All is written under the allocator's lock, with one exception: a CPU's cache turns its own frames between "allocated" and
/// "cached" without it. Whoever holds the lock may read such a word at that moment, as a buddy's, and finds it not free
/// either way; so single atomic accesses are enough, and cost what plain ones do.
#[derive(Debug, Default)]
#[repr(transparent)]
pub struct Descriptor(AtomicU64);

const STATE_BITS: u32 = 8;
const LINK_BITS: u32 = 28;
const LINK_MASK: u64 = (1 << LINK_BITS) - 1;
const STATE_MASK: u64 = (1 << STATE_BITS) - 1;
const ORDER_MASK: u64 = 15;
const PREVIOUS_SHIFT: u32 = STATE_BITS;
const NEXT_SHIFT: u32 = STATE_BITS + LINK_BITS;

/// Most frames that a zone can span, as a link has to name each of them: 1 TiB of addresses, less one chunk.
pub(super) const MAX_SPAN: u64 = (1 << LINK_BITS) - CHUNK_FRAMES as u64;

/// State: not the head of a block (or not memory that the allocator may hand out).
pub(super) const NOT_A_HEAD: u64 = 0;
/// State: head of a block that somebody owns. The order is in the low bits.
pub(super) const ALLOCATED: u64 = 1 << 4;
/// State: head of a block on a free list. The order is in the low bits.
pub(super) const FREE: u64 = 2 << 4;
/// State: head of a block in a per-CPU cache.
pub(super) const CACHED: u64 = 3 << 4;
/// State: head of a block on its owner's list, which names the next block by its frame number.
const LISTED: u64 = 5 << 4;
/// State: a single frame on its owner's list that came off the free list together with the next one. Its links are those of the
/// free list: taking many and giving them back changes the state alone.
pub(super) const CHAINED: u64 = 9 << 4;
/// What is added to the word of a free single frame to make it a chained one.
const CHAIN: u64 = CHAINED - FREE;

/// What a descriptor says about the block that starts at its frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum State {
    NotAHead,
    Allocated(u8),
    Free(u8),
    Cached(u8),
}

impl Descriptor {
    /// The whole word.
    pub(super) fn word(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Replaces the whole word.
    pub(super) fn set(&self, word: u64) {
        self.0.store(word, Ordering::Relaxed);
    }

    /// Replaces the whole word if it is `old`, at once. Whether it was.
    pub(super) fn exchange(&self, old: u64, new: u64) -> bool {
        let order = Ordering::Relaxed;
        self.0.compare_exchange(old, new, order, order).is_ok()
    }

    /// State and order alone.
    pub(super) fn tag(&self) -> u64 {
        tag(self.word())
    }

    pub(super) fn state(&self) -> State {
        let order = (self.word() & ORDER_MASK) as u8;
        match self.tag() & !ORDER_MASK {
            ALLOCATED | LISTED | CHAINED => State::Allocated(order),
            FREE => State::Free(order),
            CACHED => State::Cached(order),
            _ => State::NotAHead,
        }
    }

    /// Links to the next block on this one's free list and to the one before it.
    pub(super) fn links(&self) -> (usize, usize) {
        let word = self.word();
        let previous = (word >> PREVIOUS_SHIFT) & LINK_MASK;
        ((word >> NEXT_SHIFT) as usize, previous as usize)
    }

    /// Link to the next block on this one's free list.
    pub(super) fn next(&self) -> usize {
        self.links().0
    }

    /// Link to the block before this one on its free list.
    pub(super) fn previous(&self) -> usize {
        self.links().1
    }

    /// Changes the link to the next block from `old` to `new`.
    pub(super) fn relink_next(&self, old: usize, new: usize) {
        self.set(self.word() ^ (((old ^ new) as u64) << NEXT_SHIFT));
    }

    /// Changes the link to the previous block from `old` to `new`.
    pub(super) fn relink_previous(&self, old: usize, new: usize) {
        self.set(self.word() ^ (((old ^ new) as u64) << PREVIOUS_SHIFT));
    }
}

/// State and order of a word.
pub(super) const fn tag(word: u64) -> u64 {
    word & STATE_MASK
}

/// The word of a free block that is first on its list, `next` being the link to the block behind it.
pub(super) const fn free_word(order: u32, next: usize) -> u64 {
    FREE | order as u64 | (next as u64) << NEXT_SHIFT
}

/// The link to the next block in the word of a free block or a chained frame.
pub(super) const fn next_link(word: u64) -> usize {
    (word >> NEXT_SHIFT) as usize
}

/// The word of a chained frame that was free with this word.
pub(super) const fn chained(free: u64) -> u64 {
    free.wrapping_add(CHAIN)
}

/// The word of a free frame that was chained with this word.
pub(super) const fn unchained(word: u64) -> u64 {
    word.wrapping_sub(CHAIN)
}

/// The word of an allocated block that is on its owner's list before the block at frame `next`.
pub(super) const fn owned_word(order: u32, next: Pfn) -> u64 {
    LISTED | order as u64 | (next.0 + 1) << STATE_BITS
}

/// What [`owned_word`] packed; `None` for any other word.
pub(super) const fn owned(word: u64) -> Option<(u32, Pfn)> {
    match (word >> STATE_BITS).checked_sub(1) {
        Some(next) if tag(word) & !ORDER_MASK == LISTED => {
            Some(((word & ORDER_MASK) as u32, Pfn(next)))
        }
        _ => None,
    }
}

/// The descriptors of a zone that are alive, seen flat and chunk by chunk. Growing it is taking a longer slice.
#[derive(Clone, Copy)]
pub struct Table<'m> {
    flat: &'m [Descriptor],
    chunks: &'m [Chunk],
}

/// The words that a buddy back end keeps beside the descriptors, all written under the allocator's lock.
#[derive(Clone, Copy)]
pub struct Bits<'m>(&'m [AtomicU64]);

impl<'m> Bits<'m> {
    /// No words.
    pub(super) const EMPTY: Bits<'static> = Bits(&[]);

    pub(super) fn new(words: &'m mut [AtomicU64]) -> Bits<'m> {
        Bits(words)
    }

    pub(super) fn get(&self, word: usize) -> Option<&'m AtomicU64> {
        self.0.get(word)
    }
}

impl<'m> Table<'m> {
    /// A table over nothing.
    pub(super) const EMPTY: Table<'static> = Table {
        flat: &[],
        chunks: &[],
    };

    /// A table over `descriptors`; what does not fill a chunk is left out.
    pub(super) fn new(descriptors: &'m mut [Descriptor]) -> Table<'m> {
        let chunks: &'m [Chunk] = descriptors.as_chunks().0;
        Table {
            flat: chunks.as_flattened(),
            chunks,
        }
    }

    /// The first `chunks` chunks of this table (all of it if it has fewer).
    pub(super) fn prefix(&self, chunks: usize) -> Table<'m> {
        let chunks = &self.chunks[..chunks.min(self.chunks.len())];
        Table {
            flat: chunks.as_flattened(),
            chunks,
        }
    }

    /// Number of descriptors.
    pub(super) fn len(&self) -> usize {
        self.flat.len()
    }

    /// Number of chunks.
    pub(super) fn chunk_count(&self) -> usize {
        self.chunks.len()
    }

    pub(super) fn get(&self, index: usize) -> Option<&'m Descriptor> {
        self.flat.get(index)
    }

    /// The descriptor that a link leads to. The bounds check is the check for "none", too: 0 becomes the largest index.
    pub(super) fn follow(&self, link: usize) -> Option<&'m Descriptor> {
        self.flat.get(link.wrapping_sub(1))
    }

    /// The descriptor that a link leads to, which is not "none".
    ///
    /// # Safety
    ///
    /// The link came from a descriptor of this table that is on a free list or chained, or from the head of a free list: those lead
    /// into the part of the table that was alive when they were written, and a table only grows.
    #[inline]
    pub(super) unsafe fn linked(&self, link: usize) -> &'m Descriptor {
        debug_assert!(link.wrapping_sub(1) < self.flat.len());
        // SAFETY: the caller's promise.
        unsafe { self.flat.get_unchecked(link.wrapping_sub(1)) }
    }

    /// The `count` descriptors from `index` on.
    pub(super) fn run(&self, index: usize, count: usize) -> Option<&'m [Descriptor]> {
        self.flat.get(index..)?.get(..count)
    }

    /// The descriptors from `index` on.
    pub(super) fn from(&self, index: usize) -> &'m [Descriptor] {
        self.flat.get(index..).unwrap_or(&[])
    }

    /// The chunk that holds `index`.
    pub(super) fn chunk(&self, index: usize) -> Option<&'m Chunk> {
        self.chunks.get(index / CHUNK_FRAMES)
    }
}
