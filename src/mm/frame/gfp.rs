//! Request flags: where a block may come from and what the request may do to get it.
//!
//! Bits and sets are those of Linux 2.4.20 (the book's tables 6.3 to 6.6), with DMA32 and MEMALLOC as later kernels have
//! them. Three kinds: zone modifiers, action modifiers, and the sets that callers use.

use bitflags::bitflags;

bitflags! {
    /// Flags of a request for frames ("get free page"). The constants without a leading word of their own group, such as
    /// [`Gfp::KERNEL`], are the sets that callers pass; the single bits are there to be added.
    #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
    pub struct Gfp: u32 {
        /// Zone modifier: frames below 16 MiB. Wins over the other modifiers.
        const DMA = 0x01;
        /// Zone modifier: frames outside the direct map will do.
        const HIGHMEM = 0x02;
        /// Zone modifier: frames below 4 GiB.
        const DMA32 = 0x04;

        /// Action modifier: the caller can wait while memory is reclaimed. Without it the request may dip into a deeper part
        /// of the reserve (down to a quarter of the minimum), and fails at once after that.
        const WAIT = 0x10;
        /// Action modifier: high priority. Kept for the book's sets; as in 2.4 nothing tests it: absence of `WAIT` is
        /// what opens the reserve.
        const HIGH = 0x20;
        /// Action modifier: reclaim may start input and output.
        const IO = 0x40;
        /// Action modifier: reclaim may start input and output on frames outside the direct map.
        const HIGHIO = 0x80;
        /// Action modifier: reclaim may call into file systems.
        const FS = 0x100;
        /// Action modifier: no watermark applies (the book's PF_MEMALLOC): the request may take the last frame.
        const MEMALLOC = 0x200;
        /// Action modifier of 2.6: the frame need not be in the CPU's cache.
        const COLD = 0x400;

        /// From where waiting is not possible.
        const ATOMIC = Self::HIGH.bits();
        /// May wait, may not start input and output.
        const NOIO = Self::HIGH.bits() | Self::WAIT.bits();
        /// May start input and output, but not on high memory.
        const NOHIGHIO = Self::NOIO.bits() | Self::IO.bits();
        /// May start any input and output, may not call into file systems.
        const NOFS = Self::NOHIGHIO.bits() | Self::HIGHIO.bits();
        /// The kernel's usual request.
        const KERNEL = Self::NOFS.bits() | Self::FS.bits();
        /// On behalf of a user process.
        const USER = Self::WAIT.bits() | Self::IO.bits() | Self::HIGHIO.bits() | Self::FS.bits();
        /// On behalf of a user process, frames outside the direct map preferred.
        const HIGHUSER = Self::USER.bits() | Self::HIGHMEM.bits();
        /// The network file system's request.
        const NFS = Self::KERNEL.bits();
        /// The page-out daemon's request.
        const KSWAPD = Self::USER.bits();
    }
}

impl Gfp {
    /// All zone modifiers. A request without any is an ordinary one: NORMAL first.
    pub(super) const ZONE_MODIFIERS: Gfp = Gfp::DMA.union(Gfp::HIGHMEM).union(Gfp::DMA32);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sets_of_the_book() {
        const COLUMNS: [Gfp; 6] = [
            Gfp::WAIT,
            Gfp::HIGH,
            Gfp::IO,
            Gfp::HIGHIO,
            Gfp::FS,
            Gfp::HIGHMEM,
        ];
        for (set, row) in [
            (Gfp::ATOMIC, ".x...."),
            (Gfp::NOIO, "xx...."),
            (Gfp::NOHIGHIO, "xxx..."),
            (Gfp::NOFS, "xxxx.."),
            (Gfp::KERNEL, "xxxxx."),
            (Gfp::NFS, "xxxxx."),
            (Gfp::USER, "x.xxx."),
            (Gfp::KSWAPD, "x.xxx."),
            (Gfp::HIGHUSER, "x.xxxx"),
        ] {
            let bits = COLUMNS.into_iter().zip(row.chars());
            let bits = bits.filter(|&(_, mark)| mark == 'x').map(|(bit, _)| bit);
            assert_eq!(set, bits.collect::<Gfp>(), "{row}");
        }
        let bits = COLUMNS.map(|bit| bit.bits());
        assert_eq!(bits, [0x10, 0x20, 0x40, 0x80, 0x100, 0x02]);
        assert_eq!(Gfp::DMA.bits(), 0x01);
    }
}
