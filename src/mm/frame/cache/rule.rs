//! At what marks the lists of each generation take and give back.

use crate::mm::frame::Watermarks;

/// Most frames that a list can hold: with 4 bytes each, a page of them.
pub(super) const ROOM: usize = 1024;

/// When a list takes from the free lists, when it gives back, and how many frames each time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rule {
    /// Low mark: with this number of frames or fewer, an allocation first takes a batch.
    pub low: usize,
    /// High mark: with this number of frames or more, a free first gives a batch back.
    pub high: usize,
    /// How far `high` goes up, a batch with each batch taken.
    pub highest: usize,
    /// Frames at a time.
    pub batch: usize,
    /// How often `batch` may double while batches only ever come, or only ever go.
    pub doublings: u32,
}

impl Rule {
    /// 2.6.0's hot list for a zone of `frames` frames: a batch is one in 4,096 of them, 1 to 16.
    #[must_use]
    pub fn hot(frames: u64) -> Rule {
        let batch = ((frames / 1024).clamp(1, 64) / 4).max(1) as usize;
        Rule {
            low: 2 * batch,
            high: 6 * batch,
            highest: 6 * batch,
            batch,
            doublings: 0,
        }
    }

    /// 2.6.0's cold list.
    #[must_use]
    pub fn cold(frames: u64) -> Rule {
        let Rule { batch, .. } = Rule::hot(frames);
        Rule {
            low: 0,
            high: 2 * batch,
            highest: 2 * batch,
            batch,
            doublings: 0,
        }
    }

    /// The list of 6.x on `cpus` CPUs: a batch is one in 4,096 frames, at most 64, brought to the nearest 2^n - 1. The list
    /// holds the CPU's share of the zone's low mark, or four batches, and as demand shows up to its share of an eighth of the
    /// zone, as far as a list has room. In a run of batches each is twice the one before, up to 2^5 of the first.
    #[must_use]
    pub fn modern(frames: u64, cpus: u64) -> Rule {
        let batch = (frames / 4096).clamp(1, 64);
        let batch = ((1 << (batch + batch / 2).ilog2()) - 1).max(1) as usize;
        let share = |frames: u64| (frames / cpus.max(1)).min(ROOM as u64) as usize;
        let high = share(Watermarks::for_zone(frames).low).max(4 * batch);
        Rule {
            low: 0,
            high,
            highest: share(frames / 8).max(high),
            batch,
            doublings: 5,
        }
    }
}
