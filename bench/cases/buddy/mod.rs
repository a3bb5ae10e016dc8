//! The physical page allocator: on the machine's own RAM, and both of its generations side by side.
//!
//! The last part of a name is the policy: the back end (`descriptor`: today's, `pair_bit`: the book's, `tree`: the one without a lock),
//! or the cache in front of `descriptor` (`batched`: 6.x's, `hot_cold`: 2.6's). In front of another back end the cache is a part of
//! its own (`cache=batched/tree`). On the machine's RAM there is the cache in front, or `cache=none`.

/// The names of a shape's two cases under one policy.
macro_rules! pair {
    ($shape:literal, $policy:literal) => {
        [
            concat!("buddy/alloc/", $shape, "/", $policy),
            concat!("buddy/free/", $shape, "/", $policy),
        ]
    };
}

mod block;
mod bulk;
mod burst;
mod many;
mod metadata;
mod on_machine;
mod source;
mod start_up;
mod tree;
mod zone;

use pagemark::machine::Machine;
use pagemark::mm::frame::{
    Batched, BlockList, Buddy, CachePolicy, HotCold, InDescriptor, PairBitmap, SharedFrames,
    WholeZone,
};

use self::block::Block;
use self::source::{Cached, Direct, Source};
use self::zone::Age;
pub(super) use self::zone::with_zone;
use crate::harness::case::Failure;
use crate::harness::run::{Run, Tier};

/// The names under one back end.
struct Names {
    policy: &'static str,
    whole: [&'static str; 2],
    whole_9: [&'static str; 2],
    aged: [&'static str; 2],
    bulk: [&'static str; 2],
    many: [&'static str; 2],
    burst: [&'static str; 2],
    start_up: [&'static str; 2],
}

macro_rules! names {
    ($policy:literal) => {
        Names {
            policy: concat!("buddy/", $policy),
            whole: pair!("order=0/zone=whole", $policy),
            whole_9: pair!("order=9/zone=whole", $policy),
            aged: pair!("order=0/zone=aged", $policy),
            bulk: pair!("bulk=512", $policy),
            many: pair!("many=512", $policy),
            burst: pair!("burst=512", $policy),
            start_up: [
                concat!("buddy/start_up/ram=1GiB/", $policy),
                concat!("buddy/start_up/ram=64GiB/", $policy),
            ],
        }
    };
}

pub(super) fn run(machine: &mut Machine, run: &mut Run) {
    on_machine::run(machine, run);
    back_end::<InDescriptor>(machine, run, &names!("descriptor"));
    back_end::<PairBitmap>(machine, run, &names!("pair_bit"));
    let hit = pair!("order=0", "batched");
    let burst = pair!("burst=512", "batched");
    cache::<Batched>(machine, run, "buddy/batched", hit, burst);
    let hits = [pair!("order=3", "batched"), pair!("order=9", "batched")];
    cached_blocks(machine, run, hits);
    let hit = pair!("order=0", "hot_cold");
    let burst = pair!("burst=512", "hot_cold");
    cache::<HotCold>(machine, run, "buddy/hot_cold", hit, burst);
    run.in_tier(Tier::Full, |run| tree::run(machine, run));
}

/// The shapes that need no cache.
fn back_end<B: Buddy>(machine: &mut Machine, run: &mut Run, names: &Names) {
    start_up::run::<B>(machine, run, names.start_up);
    let all = [
        names.whole,
        names.whole_9,
        names.aged,
        names.bulk,
        names.many,
        names.burst,
    ];
    if !all.as_flattened().iter().any(|name| run.would(name)) {
        return;
    }
    let outcome = with_zone::<B>(machine, |zone| {
        blocks::<_, 0>(run, names.whole, Direct(zone), || Ok(()), 1);
        blocks::<_, 9>(run, names.whole_9, Direct(zone), || Ok(()), 1);
        bulk(run, names.bulk, zone);
        run.in_tier(Tier::Full, |run| many(run, names.many, zone));
        bursts(run, names.burst, Direct(zone));
        let mut age = Age::of(zone)?;
        blocks::<_, 0>(run, names.aged, Direct(zone), || age.step(zone), 1);
        age.end(zone)
    });
    run.check(names.policy, outcome);
}

/// The shapes that a cache serves.
fn cache<P: CachePolicy>(
    machine: &mut Machine,
    run: &mut Run,
    policy: &'static str,
    hit: [&'static str; 2],
    burst: [&'static str; 2],
) {
    if ![hit, burst]
        .as_flattened()
        .iter()
        .any(|name| run.would(name))
    {
        return;
    }
    let outcome = with_zone::<InDescriptor>(machine, |zone| {
        let mut source = Cached::<_, P>::new(zone);
        blocks::<_, 0>(run, hit, &mut source, || Ok(()), block::CACHED);
        bursts(run, burst, &mut source);
        source.end();
        Ok(())
    });
    run.check(policy, outcome);
}

/// Blocks out of the cache; of the largest it has two at least.
fn cached_blocks(machine: &mut Machine, run: &mut Run, [order_3, order_9]: [[&'static str; 2]; 2]) {
    let all = [order_3, order_9];
    if !all.as_flattened().iter().any(|name| run.would(name)) {
        return;
    }
    let outcome = with_zone::<InDescriptor>(machine, |zone| {
        let mut source = Cached::<_, Batched>::new(zone);
        blocks::<_, 3>(run, order_3, &mut source, || Ok(()), block::CACHED);
        blocks::<_, 9>(run, order_9, &mut source, || Ok(()), 2);
        source.end();
        Ok(())
    });
    run.check("buddy/batched/blocks", outcome);
}

fn blocks<S: Source, const ORDER: u8>(
    run: &mut Run,
    [alloc, free]: [&'static str; 2],
    source: S,
    mut between: impl FnMut() -> Result<(), Failure>,
    batch: u32,
) {
    let mut case = block::Alloc(Block::<_, _, ORDER>::new(source, &mut between, batch));
    run.measure(alloc, &mut case);
    let mut case = block::Free(Block::<_, _, ORDER>::new(case.0.source, between, batch));
    run.measure(free, &mut case);
}

fn bulk<B: Buddy>(run: &mut Run, [alloc, free]: [&'static str; 2], zone: &SharedFrames<'_, B>) {
    run.measure(alloc, &mut bulk::Alloc { zone, list: None });
    let mut case = bulk::Free {
        zone,
        list: BlockList::EMPTY,
        outcome: Ok(()),
        free_before: 0,
    };
    run.measure(free, &mut case);
}

fn many(run: &mut Run, [alloc, free]: [&'static str; 2], zone: &impl WholeZone) {
    run.measure(alloc, &mut many::Alloc(many::Many::new(zone)));
    run.measure(free, &mut many::Free(many::Many::new(zone)));
}

fn bursts(run: &mut Run, [alloc, free]: [&'static str; 2], source: impl Source) {
    let mut case = burst::Alloc {
        source,
        held: burst::Held::NONE,
        free_before: 0,
    };
    run.measure(alloc, &mut case);
    let mut case = burst::Free {
        source: case.source,
        held: case.held,
        free_before: 0,
    };
    run.measure(free, &mut case);
}
