//! Many single frames at once: one exchange for each count and for each word of bits, whatever the number of frames in it.

use core::sync::atomic::Ordering::{AcqRel, Relaxed};

use super::lower::HUGE_FRAMES;
use super::{
    AtomicU64, Descriptor, FRAMES, TREE_FRAMES, TREE_HUGES, TREE_SHIFT, TRIES, TreeFrames,
};

impl TreeFrames<'_> {
    /// Takes at most `most` single frames for a CPU out of one tree, sets their descriptors to `held`, and hands out their indices.
    /// Returns how many: 0 only if it found no free frame.
    pub(in crate::mm::frame) fn take_singles(
        &self,
        cpu: usize,
        most: u64,
        held: u64,
        mut put: impl FnMut(usize),
    ) -> u64 {
        let mut put = |index: usize| {
            if let Some(frame) = self.table.get(index) {
                frame.set(held);
            }
            put(index);
        };
        if most == 0 {
            return 0;
        }
        let reservation = self.reservation(cpu);
        for _ in 0..TRIES {
            if let Some((tree, promised)) = debit_at_most(reservation, most) {
                let first = tree * TREE_HUGES;
                let end = (first + TREE_HUGES).min(self.lower.pairs.len() * 2);
                let taken = self.lower.take_singles(first, end, promised, &mut put);
                if taken < promised {
                    self.credit(reservation, tree, promised - taken);
                }
                if taken > 0 {
                    return taken;
                }
            } else if !self.top_up(reservation, 1) && !self.reserve(reservation, 1, 0) {
                break;
            }
        }
        match self.take_anywhere(0) {
            Some(index) => {
                put(index);
                1
            }
            None => 0,
        }
    }

    /// Puts single frames back, for whose descriptors `release` decides whether they are taken, and writes that they no longer are.
    ///
    /// # Errors
    ///
    /// The place of the first frame that is not; those before it are free again, and those behind it are not looked at.
    pub(in crate::mm::frame) fn give_singles(
        &self,
        cpu: usize,
        frames: impl Iterator<Item = usize>,
        release: impl Fn(&Descriptor) -> bool,
    ) -> Result<(), usize> {
        let reservation = self.reservation(cpu);
        // Frames whose descriptors say that they are free: those of one word of bits, and how many of one huge frame.
        let (mut word, mut mask) = (0, 0);
        let (mut huge, mut count) = (0, 0);
        let clear = |word: usize, mask: u64| {
            if mask != 0 {
                self.lower.clear_some(word, mask);
            }
        };
        let credit = |huge: usize, count: u64| {
            if count > 0 {
                self.lower.count_free(huge, count);
                self.credit(reservation, huge * HUGE_FRAMES / TREE_FRAMES, count);
            }
        };
        let mut outcome = Ok(());
        for (place, index) in frames.enumerate() {
            if !self.table.get(index).is_some_and(&release) {
                outcome = Err(place);
                break;
            }
            if index / 64 != word {
                clear(word, mask);
                (word, mask) = (index / 64, 0);
                if index / HUGE_FRAMES != huge {
                    credit(huge, count);
                    (huge, count) = (index / HUGE_FRAMES, 0);
                }
            }
            mask |= 1 << (index % 64);
            count += 1;
        }
        clear(word, mask);
        credit(huge, count);
        outcome
    }
}

/// Takes at most `most` frames off a reservation that has some: the tree that they are in, and how many.
fn debit_at_most(reservation: &AtomicU64, most: u64) -> Option<(usize, u64)> {
    let mut frames = 0;
    let less = |word: u64| {
        frames = (word & FRAMES).min(most);
        (frames > 0).then(|| word - frames)
    };
    let word = reservation.fetch_update(AcqRel, Relaxed, less).ok()?;
    Some(((word >> TREE_SHIFT) as usize - 1, frames))
}
