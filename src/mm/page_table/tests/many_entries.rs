//! The unrolled loops: whatever the number of entries, each is changed once, and none beside them.

use core::sync::atomic::AtomicU64;

use super::*;
use crate::mm::page_table::format::entries::{
    all_present, any_present, clear, common_flags, fill, fill_scattered, set_flags,
};

/// More than two steps of the loops, and all that can be left of one.
const MOST: usize = 3 * 64 + 1;
/// The numbers of entries; under Miri, which takes minutes for all, some of each kind.
fn numbers() -> impl Iterator<Item = usize> {
    (1..=MOST).step_by(if cfg!(miri) { 21 } else { 1 })
}

/// In the entries before and behind those that are changed.
const BESIDE: u64 = 0x5555_5555_5555_5000;

/// Entries of 0 between two that hold [`BESIDE`].
fn some(count: usize) -> Vec<AtomicU64> {
    let zeros = (0..count).map(|_| 0);
    let words = [BESIDE].into_iter().chain(zeros).chain([BESIDE]);
    words.map(AtomicU64::new).collect()
}

/// What they hold between these two, which nobody changed.
fn inside(entries: &[AtomicU64]) -> Vec<u64> {
    let words: Vec<u64> = entries.iter().map(|entry| entry.load(Relaxed)).collect();
    let (first, rest) = words.split_first().unwrap();
    let (last, inside) = rest.split_last().unwrap();
    assert_eq!((*first, *last), (BESIDE, BESIDE), "{} inside", inside.len());
    inside.to_vec()
}

#[test]
fn each_of_any_number_is_changed_once() {
    for count in numbers() {
        let numbers = 0..count as u64;
        let entries = some(count);
        let ours = &entries[1..=count];
        assert!(!any_present(ours), "{count}");

        for bytes in [PAGE_SIZE, MIB2] {
            fill(ours, 0x7001, bytes);
            let expected: Vec<u64> = numbers.clone().map(|at| 0x7001 + at * bytes).collect();
            assert_eq!(inside(&entries), expected, "{count}");
        }

        // Not in order, so that one in another's place is noticed.
        let frames: Vec<Pfn> = numbers.clone().map(|at| Pfn(0x1000 - 3 * at)).collect();
        fill_scattered(ours, &frames, 0x61);
        let words = |flags: u64| frames.iter().map(move |frame| frame.address().0 | flags);
        assert_eq!(inside(&entries), words(0x61).collect::<Vec<_>>(), "{count}");
        assert_eq!(common_flags(ours, !0xfff), Some(0x61), "{count}");

        set_flags(ours, !0xfff, 0x63);
        assert_eq!(inside(&entries), words(0x63).collect::<Vec<_>>(), "{count}");

        clear(ours);
        assert_eq!(inside(&entries), std::vec![0; count]);
    }
}

/// Wherever it is among however many, the one that differs is seen.
#[test]
fn one_among_any_number_is_seen() {
    for count in numbers() {
        let step = if cfg!(miri) { 13 } else { 1 };
        for at in (0..count).step_by(step) {
            let entries = some(count);
            let ours = &entries[1..=count];
            ours[at].store(1, Relaxed);
            assert!(any_present(ours), "{at} of {count}");
            fill(ours, 1, PAGE_SIZE);
            assert!(all_present(ours), "{count}");
            ours[at].store(0, Relaxed);
            assert!(!all_present(ours), "{at} of {count}");
        }
    }
}
