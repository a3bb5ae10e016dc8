//! Threads as CPUs that take blocks and give them back, at random: a frame has one owner at a time.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::vec::Vec;

use super::*;

/// On `cpus` CPUs at once, `steps` steps each, in frames 0 to `frames`: half of the steps take a block of one of these orders, if there is
/// one, and half give one back. At the end all are given back. Under Miri this finds data races, too.
pub(super) fn at_once(
    cpus: usize,
    steps: usize,
    frames: u64,
    exponents: [u8; 8],
    take: impl Fn(usize, Order) -> Option<Block> + Sync,
    give: impl Fn(usize, Pfn, Order) + Sync,
) {
    let owners: Vec<_> = (0..frames).map(|_| AtomicU64::new(0)).collect();
    let hand_over = |pfn: Pfn, order: Order, from: u64, to: u64| {
        for frame in pfn.0..pfn.0 + order.frames() {
            assert_eq!(owners[frame as usize].swap(to, Ordering::Relaxed), from);
        }
    };
    let live = |cpu: usize| {
        let me = cpu as u64 + 1;
        let mut random = me;
        let mut held = Vec::new();
        for _ in 0..steps {
            // Knuth's linear congruence; its upper bits are random enough.
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let choice = random >> 40;
            if choice.is_multiple_of(2) {
                let exponent = exponents[(choice >> 1) as usize % 8];
                if let Some(block) = take(cpu, order(exponent)) {
                    let (pfn, order) = block.into_raw();
                    hand_over(pfn, order, 0, me);
                    held.push((pfn, order));
                }
            } else if !held.is_empty() {
                let (pfn, order) = held.swap_remove(choice as usize % held.len());
                hand_over(pfn, order, me, 0);
                give(cpu, pfn, order);
            }
        }
        for (pfn, order) in held {
            hand_over(pfn, order, me, 0);
            give(cpu, pfn, order);
        }
    };
    thread::scope(|scope| {
        for cpu in 0..cpus {
            let live = &live;
            scope.spawn(move || live(cpu));
        }
    });
}
