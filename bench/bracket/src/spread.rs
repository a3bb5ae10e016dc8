//! Where the words lie that a case reads to have a translation for each of many pages.
//!
//! If each lay at the same place of its page, all would fall into one set of the L1 cache, and a case would measure the misses of that
//! set. Within a page a word's line chooses among the 64 sets that the bits below 4 KiB reach; the sets of a larger cache depend on
//! the frame, too. So the line is the page's number, taken another way in each group of 64 pages: any run of 64 pages takes each line
//! once, and any run of as many contiguous frames as an L2 cache has sets takes each set once. Scattered frames keep that, as
//! their order is a permutation of each group.
//!
//! The pages are read in an order that leaps: by the golden section of their number, which no prefetcher of pages follows.

/// Bytes of a cache line.
const LINE: u64 = 64;
/// Lines of a page.
const LINES: u64 = 64;
/// Bytes of a page.
const PAGE: u64 = LINE * LINES;

/// Where in its page the word of the page with this number lies, in bytes.
#[must_use]
pub const fn offset(page: u64) -> u64 {
    (page ^ (page / LINES)) % LINES * LINE
}

/// How many pages further the next one lies, modulo `pages`: all of them are taken.
#[must_use]
pub const fn step(pages: u64) -> u64 {
    let mut step = (pages * 618 / 1000) | 1;
    while divisor(step, pages) > 1 {
        step += 2;
    }
    step
}

const fn divisor(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// Which of `frames`, a power of two, lies behind the page with this number, so that none continues the one before: a CPU that merges
/// translations of contiguous frames has none to merge.
#[must_use]
pub const fn scattered(page: u64, frames: u64) -> u64 {
    // An odd factor makes a permutation of any power of two.
    page * 205 % frames
}

/// Reads the word of each of `pages` pages from `start` on, and sums them up. No read waits for another.
///
/// # Safety
///
/// The pages can be read, and nobody writes to these words.
#[inline(always)]
#[must_use]
pub unsafe fn touch(start: u64, pages: u64, step: u64) -> u64 {
    let (mut sum, mut page) = (0_u64, 0);
    for _ in 0..pages {
        let word = (start + page * PAGE + offset(page)) as *const u64;
        // SAFETY: the caller's promise; the offset leaves room for a word.
        sum = sum.wrapping_add(unsafe { word.read_volatile() });
        page += step;
        if page >= pages {
            page -= pages;
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of some caches: sets, and what they belong to.
    const CACHES: [(u64, &str); 6] = [
        (64, "L1 of 32 KiB, 8 ways, or of 48 KiB, 12 ways"),
        (512, "L2 of 256 KiB, 8 ways"),
        (1024, "L2 of 256 KiB, 4 ways, of 1 MiB, 16 ways"),
        (1024, "L2 of 1.25 MiB, 20 ways"),
        (2048, "L2 of 2 MiB, 16 ways"),
        (2048, "L2 of 1.25 MiB, 10 ways"),
    ];

    /// The least and the most words in a set, of as many words as there are sets.
    fn in_sets(sets: u64, frame: impl Fn(u64) -> u64, offset: impl Fn(u64) -> u64) -> [u64; 2] {
        let mut words = vec![0; sets as usize];
        for page in 0..sets {
            let address = frame(page) * PAGE + offset(page);
            words[(address / LINE % sets) as usize] += 1;
        }
        [*words.iter().min().unwrap(), *words.iter().max().unwrap()]
    }

    #[test]
    fn every_set_of_every_cache_has_as_many_words() {
        for (sets, cache) in CACHES {
            for first in [0, 1024, 7 * 2048] {
                let contiguous = |page| first + page;
                assert_eq!(in_sets(sets, contiguous, offset), [1, 1], "{cache}");
                let scattered = |page| first + scattered(page, 2048);
                assert_eq!(in_sets(sets, scattered, offset), [1, 1], "{cache}");
            }
        }
        // What the case had before: all in one set of the L1, and then in 64 of the L2's.
        assert_eq!(in_sets(64, |page| page, |_| 0), [0, 64]);
        assert_eq!(in_sets(1024, |page| page, |page| page % 64 * 64), [0, 16]);
    }

    #[test]
    fn a_walk_takes_every_page_once_and_none_after_its_neighbour() {
        for pages in [1, 2, 3, 8, 64, 100, 512, 1536, 4096] {
            let step = step(pages);
            let mut page = 0;
            let mut seen = vec![false; pages as usize];
            for _ in 0..pages {
                assert!(
                    !core::mem::replace(&mut seen[page as usize], true),
                    "{pages}"
                );
                page = (page + step) % pages;
            }
            assert_eq!(page, 0);
            assert!(
                pages < 8 || (2..pages - 1).contains(&step),
                "{pages}: {step}"
            );
        }
    }

    #[test]
    fn no_scattered_frame_continues_the_one_before() {
        for frames in [8, 64, 1024] {
            for page in 1..frames {
                let [before, this] = [page - 1, page].map(|page| scattered(page, frames));
                assert!(this != before + 1 && this + 1 != before, "{frames}: {page}");
            }
        }
    }

    #[test]
    fn the_words_are_read_once_each() {
        const PAGES: usize = 100;
        let mut memory = vec![0_u64; (PAGES + 1) * PAGE as usize / 8];
        let start = (memory.as_ptr() as u64).next_multiple_of(PAGE);
        let first = (start - memory.as_ptr() as u64) / 8;
        for page in 0..PAGES as u64 {
            memory[(first + (page * PAGE + offset(page)) / 8) as usize] = 1 << (page % 60);
        }
        let expected = (0..PAGES as u64).map(|page| 1 << (page % 60)).sum::<u64>();
        // SAFETY: the pages are within the memory.
        let sum = unsafe { touch(start, PAGES as u64, step(PAGES as u64)) };
        assert_eq!(sum, expected);
    }
}
