//! Physical memory as bytes, as far as it can be read: the seam behind which everything that firmware and loaders leave in memory
//! is looked at. On the machine it is the boot stretch's identity mapping; on the host it is what a test puts there.

#[cfg(test)]
use std::vec::Vec;

use crate::mm::address::PhysAddr;

/// Physical memory of which parts can be read.
pub trait ReadPhysical {
    /// `length` bytes from `start` on; `None` if one of them cannot be read.
    fn bytes(&self, start: PhysAddr, length: usize) -> Option<&[u8]>;

    /// The `N` bytes from `start` on.
    fn array<const N: usize>(&self, start: PhysAddr) -> Option<[u8; N]> {
        self.bytes(start, N)?.first_chunk().copied()
    }
}

/// The first 4 GiB at their own addresses, as the boot stretch maps them.
#[cfg(target_os = "none")]
#[derive(Clone, Copy, Debug)]
pub struct Identity(());

#[cfg(target_os = "none")]
impl Identity {
    /// # Safety
    ///
    /// The value is used during the boot stretch only, while the first [`IDENTITY_END`](crate::boot::info::IDENTITY_END) bytes
    /// of memory are mapped at their own addresses, and nothing writes to what was read.
    #[must_use]
    pub const unsafe fn new() -> Self {
        Identity(())
    }
}

#[cfg(target_os = "none")]
impl ReadPhysical for Identity {
    fn bytes(&self, start: PhysAddr, length: usize) -> Option<&[u8]> {
        let end = start.0.checked_add(length as u64)?;
        let readable = start.0 != 0 && end <= crate::boot::info::IDENTITY_END;
        // SAFETY: mapped, by the promise of `new`, and not null; any bits are bytes.
        readable.then(|| unsafe { core::slice::from_raw_parts(start.0 as *const u8, length) })
    }
}

/// Memory that a test has filled, in pieces, each of which begins at a multiple of 8 on the host, too.
#[cfg(test)]
#[derive(Clone, Default, Debug)]
pub struct Pieces(Vec<(u64, Vec<u64>, usize)>);

#[cfg(test)]
impl Pieces {
    /// Puts bytes at an address. Where pieces overlap the one that was put there first is read.
    pub fn put(&mut self, start: u64, bytes: impl AsRef<[u8]>) {
        let bytes = bytes.as_ref();
        let words = bytes.chunks(8).map(|chunk| {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            u64::from_ne_bytes(word)
        });
        self.0.push((start, words.collect(), bytes.len()));
    }
}

#[cfg(test)]
impl ReadPhysical for Pieces {
    fn bytes(&self, start: PhysAddr, length: usize) -> Option<&[u8]> {
        self.0.iter().find_map(|(at, words, bytes)| {
            // SAFETY: words are bytes.
            let bytes = &unsafe { words.align_to::<u8>() }.1[..*bytes];
            let first = usize::try_from(start.0.checked_sub(*at)?).ok()?;
            bytes.get(first..first.checked_add(length)?)
        })
    }
}
