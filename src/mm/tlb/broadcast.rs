//! A range in the portions that one INVLPGB takes (AMD APM volume 3, INVLPGB; CPUID 8000_0008H, EDX bits 15 to 0).

use crate::mm::address::VirtAddr;

/// Pages that follow on each other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Portion {
    /// The first page.
    pub start: VirtAddr,
    /// How many there are: at least 1.
    pub pages: u16,
}

/// The `pages` pages of `bytes` bytes from `start` on, in portions of at most `most`, lowest first.
///
/// A count of 0 for `most` is taken for 1: every CPU with the instruction takes one page.
pub fn portions(
    start: VirtAddr,
    pages: u64,
    bytes: u64,
    most: u16,
) -> impl Iterator<Item = Portion> {
    let most = most.max(1);
    (0..pages)
        .step_by(usize::from(most))
        .map(move |done| Portion {
            start: VirtAddr(start.0.wrapping_add(done * bytes)),
            pages: (pages - done).min(u64::from(most)) as u16,
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    #[test]
    fn the_last_portion_has_what_is_left() {
        let found: Vec<_> = portions(VirtAddr(0x1000), 17, 0x1000, 8)
            .map(|portion| (portion.start.0, portion.pages))
            .collect();
        assert_eq!(found, [(0x1000, 8), (0x9000, 8), (0x1_1000, 1)]);
        assert_eq!(portions(VirtAddr(0), 0, 0x1000, 8).count(), 0);
        // The top page of the address space.
        let top = VirtAddr(!0xfff);
        assert_eq!(
            portions(top, 1, 0x1000, 8).next(),
            Some(Portion {
                start: top,
                pages: 1
            })
        );
    }

    proptest! {
        #[test]
        fn every_page_is_in_one_portion(pages in 0u64..3000, most in 0u16..600, large in any::<bool>()) {
            let bytes: u64 = if large { 2 << 20 } else { 4 << 10 };
            let start = VirtAddr(0xffff_c900_0000_0000);
            let mut next = start.0;
            for portion in portions(start, pages, bytes, most) {
                prop_assert_eq!(portion.start.0, next);
                prop_assert!(portion.pages >= 1 && portion.pages <= most.max(1));
                next += u64::from(portion.pages) * bytes;
            }
            prop_assert_eq!(next, start.0 + pages * bytes);
        }
    }
}
