//! A range in the portions that one INVLPGB takes, and the words that ask for each (AMD APM volume 3, INVLPGB; CPUID 8000_0008H, EDX
//! bits 15 to 0).
//!
//! No emulator has the instruction, so that the words are held to the manual here, and nowhere else.

use crate::mm::address::{PageSize, VirtAddr};

/// Pages that follow on each other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Portion {
    /// The first page.
    pub start: VirtAddr,
    /// How many there are: at least 1.
    pub pages: u16,
    /// Of which size.
    pub size: PageSize,
}

/// What the registers hold for one INVLPGB. EDX, which names an ASID and a PCID, is 0: neither is asked for, so that the
/// translations of all contexts go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Operands {
    /// RAX: the first page, and what is asked for.
    pub rax: u64,
    /// ECX: how many more pages, and how far apart.
    pub ecx: u32,
}

impl Operands {
    /// RAX bit 0: RAX names a page.
    const VIRTUAL_ADDRESS: u64 = 1 << 0;
    /// RAX bit 3: global translations, too.
    const GLOBAL: u64 = 1 << 3;
    /// ECX bit 31: the pages are 2 MiB apart.
    const STRIDE_2M: u32 = 1 << 31;

    /// Everything, global translations included.
    pub const ALL: Operands = Operands {
        rax: Self::GLOBAL,
        ecx: 0,
    };
}

impl Portion {
    /// The words that ask for these pages.
    #[inline]
    #[must_use]
    pub const fn operands(self) -> Operands {
        let stride = match self.size {
            PageSize::Size4K => 0,
            PageSize::Size2M | PageSize::Size1G => Operands::STRIDE_2M,
        };
        Operands {
            rax: self.start.0 | Operands::VIRTUAL_ADDRESS | Operands::GLOBAL,
            ecx: stride | (self.pages - 1) as u32,
        }
    }
}

/// The `pages` pages of `size` from `start` on, in portions of at most `most`, lowest first. There is no stride of 1 GiB: such
/// pages go one by one.
///
/// A count of 0 for `most` is taken for 1: every CPU with the instruction takes one page.
pub fn portions(
    start: VirtAddr,
    pages: u64,
    size: PageSize,
    most: u16,
) -> impl Iterator<Item = Portion> {
    let most = match size {
        PageSize::Size4K | PageSize::Size2M => most.max(1),
        PageSize::Size1G => 1,
    };
    (0..pages)
        .step_by(usize::from(most))
        .map(move |done| Portion {
            start: VirtAddr(start.0.wrapping_add(done * size.bytes())),
            pages: (pages - done).min(u64::from(most)) as u16,
            size,
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    #[test]
    fn the_last_portion_has_what_is_left() {
        let found: Vec<_> = portions(VirtAddr(0x1000), 17, PageSize::Size4K, 8)
            .map(|portion| (portion.start.0, portion.pages))
            .collect();
        assert_eq!(found, [(0x1000, 8), (0x9000, 8), (0x1_1000, 1)]);
        assert_eq!(portions(VirtAddr(0), 0, PageSize::Size4K, 8).count(), 0);
        // The top page of the address space.
        let top = VirtAddr(!0xfff);
        assert_eq!(
            portions(top, 1, PageSize::Size4K, 8).next(),
            Some(Portion {
                start: top,
                pages: 1,
                size: PageSize::Size4K,
            })
        );
    }

    /// RAX: bit 0 "the address is valid", 1 PCID, 2 ASID, 3 "global, too", 4 "leaves alone", 5 nested; 63 to 12 the address. ECX:
    /// bits 15 to 0 how many more pages, 31 whether 2 MiB apart.
    #[test]
    fn the_words_are_those_of_the_manual() {
        let words = |size, pages, most| {
            let portions = portions(VirtAddr(0xffff_c900_4000_0000), pages, size, most);
            let words = portions.map(|portion| portion.operands());
            words
                .map(|words| (words.rax, words.ecx))
                .collect::<Vec<_>>()
        };
        let small = words(PageSize::Size4K, 9, 8);
        let expected = [(0xffff_c900_4000_0009, 7), (0xffff_c900_4000_8009, 0)];
        assert_eq!(small, expected);
        let large = words(PageSize::Size2M, 0x1_0000, u16::MAX);
        let expected = [
            (0xffff_c900_4000_0009, 0x8000_fffe),
            (0xffff_c920_3fe0_0009, 0x8000_0000),
        ];
        assert_eq!(large, expected);
        let huge = words(PageSize::Size1G, 2, 8);
        let expected = [
            (0xffff_c900_4000_0009, 0x8000_0000),
            (0xffff_c900_8000_0009, 0x8000_0000),
        ];
        assert_eq!(huge, expected);
        assert_eq!((Operands::ALL.rax, Operands::ALL.ecx), (8, 0));
    }

    proptest! {
        #[test]
        fn every_page_is_in_one_portion(pages in 0u64..3000, most in 0u16..600, large in any::<bool>()) {
            let size = if large { PageSize::Size2M } else { PageSize::Size4K };
            let start = VirtAddr(0xffff_c900_0000_0000);
            let mut next = start.0;
            for portion in portions(start, pages, size, most) {
                prop_assert_eq!(portion.start.0, next);
                prop_assert!(portion.pages >= 1 && portion.pages <= most.max(1));
                next += u64::from(portion.pages) * size.bytes();
            }
            prop_assert_eq!(next, start.0 + pages * size.bytes());
        }
    }
}
