//! Searches for free address ranges beside one another on this host: `cargo bench -p pagemark-peers --bench ranges`.
//!
//! Every search goes through the same shapes with 100, 1,000 and 10,000 live ranges. Figures are times, so they are of this
//! host, and only those of one run belong together. Ours by tree and list, `free-list` and `vm-allocator` give the lowest range
//! that fits, which has a price where ranges come and go at random; `range-alloc` gives the smallest, ours by instant fit and
//! `offset-allocator` one of about the right size.
//!
//! | shape | one iteration |
//! | --- | --- |
//! | `packed` | a page taken and given back, behind ranges that lie side by side |
//! | `holes` | the same for two pages, where every hole between the ranges has one |
//! | `churn` | one range of 1 to 16 pages at random is given back and replaced by one of another size |

mod peers;
#[path = "../turns/mod.rs"]
mod turns;

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use fastrand::Rng;

use peers::{Areas, HermitFreeList, OffsetAllocator, RangeAlloc, Ranges, VmAllocator};
use turns::Turns;

/// Of the random numbers: the same for everybody.
const SEED: u64 = 0;

/// 1 to 16 pages.
fn pages(random: &mut Rng) -> u64 {
    random.u64(1..=16)
}

fn pair<R: Ranges + 'static>(turns: &mut Turns<'_>, name: &str, mut ranges: R, pages: u64) {
    turns.row(name, move || {
        let held = ranges.take(black_box(pages));
        ranges.give(black_box(held));
    });
}

fn packed<R: Ranges + 'static>(turns: &mut Turns<'_>, name: &str, mut ranges: R, live: usize) {
    let mut random = Rng::with_seed(SEED);
    for _ in 0..live {
        let _ = ranges.take(pages(&mut random));
    }
    pair(turns, name, ranges, 1);
}

fn holes<R: Ranges + 'static>(turns: &mut Turns<'_>, name: &str, mut ranges: R, live: usize) {
    let held: Vec<_> = (0..2 * live).map(|_| ranges.take(1)).collect();
    for hole in held.into_iter().step_by(2) {
        ranges.give(hole);
    }
    pair(turns, name, ranges, 2);
}

fn churn<R: Ranges + 'static>(turns: &mut Turns<'_>, name: &str, mut ranges: R, live: usize) {
    let mut random = Rng::with_seed(SEED);
    let mut held: Vec<_> = (0..live).map(|_| ranges.take(pages(&mut random))).collect();
    let mut step = move || {
        let place = random.usize(..live);
        ranges.give(held[place].clone());
        held[place] = ranges.take(pages(&mut random));
    };
    // So that holes of all sizes are there from the first sample on.
    for _ in 0..4 * live {
        step();
    }
    turns.row(name, step);
}

/// Calls `$shape` for every search, with the label of its row.
macro_rules! everybody {
    ($criterion:expr, $shape:ident) => {
        for live in [100, 1_000, 10_000] {
            let name = format!(concat!(stringify!($shape), "/live={}"), live);
            let mut turns = Turns::new($criterion, name, 1);
            $shape(&mut turns, "pagemark", Areas::tree(), live);
            $shape(&mut turns, "pagemark, the book's list", Areas::list(), live);
            $shape(
                &mut turns,
                "pagemark, instant fit",
                Areas::instant_fit(),
                live,
            );
            $shape(&mut turns, "range-alloc", RangeAlloc::new(), live);
            $shape(&mut turns, "vm-allocator", VmAllocator::new(), live);
            $shape(&mut turns, "offset-allocator", OffsetAllocator::new(), live);
            $shape(&mut turns, "free-list", HermitFreeList::new(), live);
            turns.finish();
        }
    };
}

fn all(criterion: &mut Criterion) {
    everybody!(criterion, packed);
    everybody!(criterion, holes);
    everybody!(criterion, churn);
}

criterion_group!(benches, all);
criterion_main!(benches);
