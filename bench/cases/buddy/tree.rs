//! The zone without a lock: the same shapes as under a lock, straight and through a CPU's cache.

use core::sync::atomic::AtomicU64;

use pagemark::machine::Machine;
use pagemark::mm::address::{Order, Pfn};
use pagemark::mm::frame::{Batched, MetadataSize, TreeFrames, WholeZone};

use super::metadata::with_memory;
use super::source::Cached;
use super::zone::{FRAMES, RANGES};
use super::{block, blocks, bursts, many};
use crate::harness::case::{Failure, expect_eq};
use crate::harness::random::Random;
use crate::harness::run::Run;

/// CPUs that the zone has reservations for.
const CPUS: usize = 1;
/// Most blocks that [`Age`] holds: single frames that fill half of the zone, and as many again.
const HELD: usize = FRAMES as usize;

const WHOLE: [&str; 2] = pair!("order=0/zone=whole", "tree");
const WHOLE_9: [&str; 2] = pair!("order=9/zone=whole", "tree");
const AGED: [&str; 2] = pair!("order=0/zone=aged", "tree");
const BURST: [&str; 2] = pair!("burst=512", "tree");
const MANY: [&str; 2] = pair!("many=512", "tree");
const CACHED: [&str; 2] = pair!("order=0/cache=batched", "tree");
const CACHED_9: [&str; 2] = pair!("order=9/cache=batched", "tree");
const CACHED_BURST: [&str; 2] = pair!("burst=512/cache=batched", "tree");

pub(super) fn run(machine: &mut Machine, run: &mut Run) {
    let all = [
        WHOLE,
        WHOLE_9,
        AGED,
        BURST,
        MANY,
        CACHED,
        CACHED_9,
        CACHED_BURST,
    ];
    if !all.as_flattened().iter().any(|name| run.would(name)) {
        return;
    }
    let outcome = with_tree(machine, |zone, held| {
        blocks::<_, 0>(run, WHOLE, zone, || Ok(()), 1);
        blocks::<_, 9>(run, WHOLE_9, zone, || Ok(()), 1);
        bursts(run, BURST, zone);
        many(run, MANY, zone);
        let mut source = Cached::<_, Batched>::new(zone);
        blocks::<_, 0>(run, CACHED, &mut source, || Ok(()), block::CACHED);
        blocks::<_, 9>(run, CACHED_9, &mut source, || Ok(()), 2);
        bursts(run, CACHED_BURST, &mut source);
        source.end();
        let mut age = Age::of(zone, held)?;
        blocks::<_, 0>(run, AGED, zone, || age.step(zone), 1);
        age.end(zone)
    });
    run.check("buddy/tree", outcome);
}

/// Runs `work` on a zone whose frames are all free, and with [`HELD`] words. Afterwards all frames have to be free again.
fn with_tree(
    machine: &mut Machine,
    work: impl for<'z> FnOnce(&TreeFrames<'z>, &mut [AtomicU64]) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let [frames] = &RANGES;
    let (descriptors, of_zone) = TreeFrames::metadata_size(frames, CPUS);
    let words = of_zone + HELD;
    with_memory(machine, MetadataSize { descriptors, words }, |metadata| {
        let (of_zone, held) = metadata.words.split_at_mut(of_zone);
        let zone = TreeFrames::new(frames.clone(), CPUS, metadata.descriptors, of_zone)
            .ok_or(Failure::new(format_args!("too little memory for a tree")))?;
        work(&zone, held)?;
        if let Err(pfn) = zone.validate() {
            return Err(Failure::new(format_args!(
                "the counts do not agree at frame {:#x}",
                pfn.0
            )));
        }
        expect_eq!("free frames of the zone", zone.free_frames(), FRAMES);
        Ok(())
    })
}

/// What the zone has lived through: the same mix as that of a zone under a lock, the live blocks in words.
struct Age<'h> {
    held: &'h mut [AtomicU64],
    blocks: usize,
    random: Random,
}

/// Where a word holds the order of a block.
const ORDER_SHIFT: u32 = 56;

impl<'h> Age<'h> {
    fn of(zone: &TreeFrames<'_>, held: &'h mut [AtomicU64]) -> Result<Self, Failure> {
        let mut age = Age {
            held,
            blocks: 0,
            random: Random::new(),
        };
        for _ in 0..super::zone::Age::STEPS {
            age.step(zone)?;
        }
        Ok(age)
    }

    fn step(&mut self, zone: &TreeFrames<'_>) -> Result<(), Failure> {
        let random = self.random.next();
        let taken = FRAMES - zone.free_frames();
        if (random >> 32) % FRAMES >= taken {
            let order = (random >> 16 | 8).trailing_zeros() as u8;
            let order = Order::new(order).unwrap_or(Order::ZERO);
            let Some(block) = zone.take(0, order) else {
                return Err(Failure::new(format_args!("no block of order {order}")));
            };
            let (pfn, order) = block.into_raw();
            if let Some(word) = self.held.get_mut(self.blocks) {
                *word.get_mut() = pfn.0 | u64::from(order.get()) << ORDER_SHIFT;
                self.blocks += 1;
            }
        } else if let Some(last) = self.blocks.checked_sub(1) {
            self.held.swap((random >> 8) as usize % self.blocks, last);
            self.give_last(zone)?;
        }
        Ok(())
    }

    fn give_last(&mut self, zone: &TreeFrames<'_>) -> Result<(), Failure> {
        self.blocks -= 1;
        let word = *self.held[self.blocks].get_mut();
        let order = Order::new((word >> ORDER_SHIFT) as u8).unwrap_or(Order::ZERO);
        Ok(zone.give(0, Pfn(word & ((1 << ORDER_SHIFT) - 1)), order)?)
    }

    /// Frees every block.
    fn end(mut self, zone: &TreeFrames<'_>) -> Result<(), Failure> {
        while self.blocks > 0 {
            self.give_last(zone)?;
        }
        Ok(())
    }
}
