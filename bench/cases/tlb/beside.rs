//! Dropping `pages` translations, page by page or everything, and then using a working set: `live` translations that were there, too.
//!
//! The pages that are dropped are not used again, as pages are that were unmapped. So what a flush of everything costs beyond its
//! instruction is the walks for the working set. From these costs follows the crossover, which Linux sets at 33 pages for every CPU
//! and every working set (`tlb_single_page_flush_ceiling`).
//!
//! - `tlb/flush/…`: global translations, as a kernel has them, by INVLPG against what drops global ones, too
//! - `tlb/flush_user/…`: translations that are not global, by INVLPG against a reload of CR3
//!
//! The proof: the pages that are dropped were remapped and not flushed. After the operation they show their new frames.

use core::fmt::Write;

use arrayvec::{ArrayString, ArrayVec};
use pagemark::boot::command_line::Suite;
use pagemark::console::log;
use pagemark::cpu::invalidate::LocalTlb;
use pagemark::machine::Machine;
use pagemark::mm::address::{Order, PAGE_SIZE, PageSize, Pfn, VirtAddr};
use pagemark::mm::frame::{Block, Gfp};
use pagemark::mm::hardware::TlbInvalidate;
use pagemark::mm::page_table::Protection;
use pagemark::mm::tlb::Tlb;
use pagemark_bracket::spread;
use pagemark_record::{self as record, AdviceKind, Clock, Crossover, Record, Translations};
use pagemark_statistics::{Advice, Cost, Crossing, Measured, advice, crossing};

use crate::cases::proof;
use crate::harness::case::{Case, Failure, expect_eq};
use crate::harness::run::{Run, Tier};

/// Working sets, in translations.
const LIVE: [u64; 5] = [0, 64, 512, 1536, 4096];
/// Working sets of the quick suite: none, one that a second-level TLB holds, one that it does not.
const QUICK_LIVE: [u64; 3] = [0, 512, 4096];
/// Of these the ones that an advice is about: something is always live beside a flush.
const COUNTS: u64 = 64;
/// log2 of the most pages that are dropped.
const LARGEST: u8 = 9;
/// Those that the quick suite has: log2 of pages.
const QUICK: [u8; 4] = [0, 3, 6, 9];
/// The pages of the working set begin so far behind those that are dropped.
const APART: u64 = 4 << 20;

/// How the translations are dropped.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    ByPage,
    Whole,
}

const WAYS: [(&str, Way); 2] = [("by_page", Way::ByPage), ("whole", Way::Whole)];

const fn protection(translations: Translations) -> Protection {
    match translations {
        Translations::Kernel => Protection::READ_WRITE,
        Translations::User => Protection::READ_WRITE.not_global(),
    }
}

/// Pages that are to be dropped.
struct Doomed {
    pages: u64,
    /// Two frames for each, so that a proof can see which of them is read.
    frames: [Block; 2],
    /// Which of them the pages are mapped to.
    mapped: usize,
}

/// What a page of a set of frames holds.
const fn mark(set: usize, page: u64) -> u64 {
    (set as u64 + 1) << 32 | page
}

struct FlushBeside<'m> {
    machine: &'m mut Machine,
    tlb: LocalTlb,
    translations: Translations,
    way: Way,
    start: VirtAddr,
    doomed: Doomed,
    /// The pages of the working set, and how they are gone through.
    live: VirtAddr,
    live_pages: u64,
    step: u64,
    live_frames: ArrayVec<Block, 4>,
    sum: u64,
}

impl<'m> FlushBeside<'m> {
    fn new(
        machine: &'m mut Machine,
        translations: Translations,
        way: Way,
        pages: u64,
        live_pages: u64,
    ) -> Result<Self, Failure> {
        let order = Order::for_frames(pages);
        let order = order.ok_or(Failure::new(format_args!("too many pages for a block")))?;
        let frames = &mut machine.kernel.frames;
        let doomed = [
            frames.alloc_pages(Gfp::KERNEL, order)?,
            frames.alloc_pages(Gfp::KERNEL, order)?,
        ];
        let mut live_frames = ArrayVec::new();
        let mut missing = live_pages;
        while missing > 0 {
            let order = Order::for_frames(missing).unwrap_or(Order::MAX);
            live_frames.push(machine.kernel.frames.alloc_pages(Gfp::KERNEL, order)?);
            missing = missing.saturating_sub(order.frames());
        }
        let start = machine.layout.scratch.start;
        let mut case = FlushBeside {
            tlb: LocalTlb::new(&machine.features),
            machine,
            translations,
            way,
            start,
            doomed: Doomed {
                pages,
                frames: doomed,
                mapped: 0,
            },
            live: VirtAddr(start.0 + APART),
            live_pages,
            step: spread::step(live_pages.max(1)),
            live_frames,
            sum: 0,
        };
        for page in 0..pages {
            for set in [0, 1] {
                case.write(case.doomed_frame(set, page), page, mark(set, page))?;
            }
            case.map(case.doomed_page(page), case.doomed_frame(0, page))?;
        }
        for page in 0..live_pages {
            let frame = case.live_frame(page);
            case.write(frame, page, mark(0, page))?;
            case.map(VirtAddr(case.live.0 + page * PAGE_SIZE), frame)?;
        }
        Ok(case)
    }

    const fn doomed_page(&self, page: u64) -> VirtAddr {
        VirtAddr(self.start.0 + page * PAGE_SIZE)
    }

    fn doomed_frame(&self, set: usize, page: u64) -> Pfn {
        let block = &self.doomed.frames[set];
        block
            .pfn()
            .add(spread::scattered(page, block.order().frames()))
    }

    /// Frames out of all blocks, none of which continues the one before.
    fn live_frame(&self, page: u64) -> Pfn {
        let frames = Order::MAX.frames();
        let block = &self.live_frames[(page / frames) as usize];
        let place = spread::scattered(page % frames, block.order().frames());
        block.pfn().add(place)
    }

    fn write(&self, frame: Pfn, page: u64, mark: u64) -> Result<(), Failure> {
        let word = self.machine.frame_address(frame).0 + spread::offset(page);
        // SAFETY: the frame is the case's.
        unsafe { proof::write(VirtAddr(word), mark) }
    }

    fn map(&mut self, page: VirtAddr, frame: Pfn) -> Result<(), Failure> {
        let (frames, protection) = (frame..frame.add(1), protection(self.translations));
        let (scratch, tables) = (&mut self.machine.scratch, &mut self.machine.kernel.tables());
        scratch.map(page, frames, protection, PageSize::Size4K, tables)?;
        Ok(())
    }

    #[inline(always)]
    fn use_working_set(&mut self) {
        // SAFETY: the pages are mapped to frames of the case.
        self.sum = unsafe { spread::touch(self.live.0, self.live_pages, self.step) };
    }

    /// Reads the pages that are dropped, the last one at last.
    fn read_doomed(&self, set: usize) -> Result<(), Failure> {
        for page in 0..self.doomed.pages {
            self.expect_doomed(set, page)?;
        }
        Ok(())
    }

    fn expect_doomed(&self, set: usize, page: u64) -> Result<(), Failure> {
        let found = proof::read(VirtAddr(self.doomed_page(page).0 + spread::offset(page)))?;
        expect_eq!("a page that was dropped", found, mark(set, page));
        Ok(())
    }

    fn end(self) -> Result<(), Failure> {
        let kernel = &mut self.machine.kernel;
        for (start, pages) in [
            (self.start, self.doomed.pages),
            (self.live, self.live_pages),
        ] {
            if pages > 0 {
                let owed = self.machine.scratch.unmap(start, pages)?;
                owed.flush(&kernel.tlb);
            }
        }
        for block in self.doomed.frames.into_iter().chain(self.live_frames) {
            kernel.frames.free(block)?;
        }
        Ok(())
    }
}

impl Case for FlushBeside<'_> {
    /// Other frames than before lie behind the pages, which the TLB has: the flush is owed.
    fn prepare(&mut self) -> Result<(), Failure> {
        let before = self.doomed.mapped;
        self.read_doomed(before)?;
        self.use_working_set();
        self.doomed.mapped ^= 1;
        for page in 0..self.doomed.pages {
            let frame = self.doomed_frame(self.doomed.mapped, page);
            let address = self.doomed_page(page);
            let scratch = &mut self.machine.scratch;
            drop(scratch.remap(address, frame..frame.add(1))?);
        }
        self.sum = 0;
        Ok(())
    }

    fn operation(&mut self) {
        match (self.way, self.translations) {
            (Way::ByPage, _) => {
                let Doomed { pages, .. } = self.doomed;
                self.tlb.flush_pages(self.start, pages, PageSize::Size4K);
            }
            (Way::Whole, Translations::Kernel) => self.tlb.flush_all(),
            (Way::Whole, Translations::User) => self.tlb.flush_context(),
        }
        self.use_working_set();
    }

    fn verify(&mut self) -> Result<(), Failure> {
        let expected: u64 = (0..self.live_pages).map(|page| mark(0, page)).sum();
        expect_eq!("the sum of the working set's words", self.sum, expected);
        // The last page first: its stale translation is the one that the TLB would hold longest.
        for page in (0..self.doomed.pages).rev() {
            self.expect_doomed(self.doomed.mapped, page)?;
        }
        Ok(())
    }
}

type Name = ArrayString<64>;

fn name(translations: Translations, live: u64, pages: u64, way: &str) -> Name {
    let family = match translations {
        Translations::Kernel => "flush",
        Translations::User => "flush_user",
    };
    let mut name = Name::new();
    // Never longer than that.
    let _ = write!(name, "tlb/{family}/live={live}/pages={pages}/{way}");
    name
}

fn measure(machine: &mut Machine, run: &mut Run, translations: Translations, live: u64, log2: u8) {
    let pages = 1 << log2;
    for (how, way) in WAYS {
        let name = name(translations, live, pages, how);
        if !run.would(&name) {
            continue;
        }
        // Twice what the case takes, so that no other has too little.
        if machine.kernel.frames.free_frames() < 2 * (live + 2 * pages) {
            run.skip(&name, "too little memory for the working set");
            continue;
        }
        let case = FlushBeside::new(machine, translations, way, pages, live);
        let outcome = case.and_then(|mut case| {
            run.measure(&name, &mut case);
            case.end()
        });
        if let Err(failure) = outcome {
            run.check(&*name, Err(failure));
        }
    }
}

pub(super) fn run(machine: &mut Machine, run: &mut Run) {
    for live in LIVE {
        for log2 in 0..=LARGEST {
            let few = QUICK.contains(&log2);
            let quick = few && QUICK_LIVE.contains(&live);
            let tier = if quick { Tier::Quick } else { Tier::Full };
            run.in_tier(tier, |run| {
                measure(machine, run, Translations::Kernel, live, log2);
            });
            if few {
                run.in_tier(Tier::Full, |run| {
                    measure(machine, run, Translations::User, live, log2);
                });
            }
        }
    }
}

/// The crossing beside one working set, if both ways were measured at two numbers of pages at least.
fn crossing_beside(run: &mut Run, translations: Translations, live: u64) -> Option<Crossing> {
    let mut measured: ArrayVec<Measured, { LARGEST as usize + 1 }> = ArrayVec::new();
    for log2 in 0..=LARGEST {
        let pages = 1 << log2;
        let cost = |run: &mut Run, how| {
            let found = run.interval(&name(translations, live, pages, how))?;
            let [low, median, high] = found.map(|figure| figure.thousandths());
            Some(Cost { low, median, high })
        };
        if let (Some(by_page), Some(whole)) = (cost(run, "by_page"), cost(run, "whole")) {
            measured.push(Measured {
                pages,
                by_page,
                whole,
            });
        }
    }
    (measured.len() > 1).then(|| crossing(&measured))
}

/// Writes down from how many pages on the whole flush is the cheaper one, beside each working set, and what follows for the ceiling.
#[inline(never)]
pub fn record_crossovers(machine: &Machine, run: &mut Run) {
    if machine.options.mutate.is_some() || machine.options.suite == Suite::Probe {
        return;
    }
    let linux = Tlb::<LocalTlb>::DEFAULT_CEILING;
    let largest = 1 << LARGEST;
    for translations in [Translations::Kernel, Translations::User] {
        let mut counting: ArrayVec<Crossing, { LIVE.len() }> = ArrayVec::new();
        for live in LIVE {
            let Some(found) = crossing_beside(run, translations, live) else {
                continue;
            };
            if live >= COUNTS {
                counting.push(found);
            }
            log::record(&Record::Crossover(Crossover {
                translations: Some(translations),
                working_set: Some(live),
                pages: found.pages,
                low: found.low,
                high: found.high,
                linux,
                ceiling: machine.kernel.tlb.ceiling(),
                largest,
            }));
        }
        if counting.is_empty() {
            continue;
        }
        let (kind, pages) = match (run.clock(), advice(linux, largest, &counting)) {
            // No TLB is behind these costs.
            (Clock::Icount | Clock::Emulated, _) => (AdviceKind::Unknown, None),
            (Clock::Tsc, Advice::Raise(pages)) => (AdviceKind::Raise, Some(pages)),
            (Clock::Tsc, Advice::Lower(pages)) => (AdviceKind::Lower, Some(pages)),
            (Clock::Tsc, Advice::Keep) => (AdviceKind::Keep, None),
            (Clock::Tsc, Advice::Depends) => (AdviceKind::Depends, None),
            (Clock::Tsc, Advice::Undecided) => (AdviceKind::Undecided, None),
        };
        log::record(&Record::Advice(record::Advice {
            translations,
            advice: kind,
            pages,
            linux,
        }));
    }
}
