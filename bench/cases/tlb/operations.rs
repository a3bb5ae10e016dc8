//! The instructions that drop translations, bare: no policy, no loop.
//!
//! The proof of each: a page is read, so that the TLB has it; its entry is changed to another frame without a flush; after the
//! operation the page reads as the other frame. What an operation must not drop, global translations for some, is a check.

use pagemark::cpu::invalidate::{
    BroadcastTlb, InvpcidType, invlpg, invpcid, reload_cr3, toggle_pge,
};
use pagemark::machine::Machine;
use pagemark::mm::address::{PAGE_SIZE, PageSize, VirtAddr};
use pagemark::mm::frame::{Block, Gfp};
use pagemark::mm::hardware::TlbInvalidate;
use pagemark::mm::page_table::Protection;

use super::staleness;
use crate::cases::proof;
use crate::harness::case::{Case, Failure, expect_eq};
use crate::harness::mutation::perform;
use crate::harness::run::Run;

/// What the two frames hold.
const MARKS: [u64; 2] = [0x0a0a_0a0a_0a0a_0a0a, 0x0b0b_0b0b_0b0b_0b0b];

struct Flush<'m, F> {
    machine: &'m mut Machine,
    page: VirtAddr,
    protection: Protection,
    frames: [Block; 2],
    flush: F,
}

impl<'m, F: FnMut(VirtAddr)> Flush<'m, F> {
    fn new(machine: &'m mut Machine, protection: Protection, flush: F) -> Result<Self, Failure> {
        let frames = [
            machine.kernel.frames.alloc_page(Gfp::KERNEL)?,
            machine.kernel.frames.alloc_page(Gfp::KERNEL)?,
        ];
        for (frame, mark) in frames.iter().zip(MARKS) {
            // SAFETY: the frame is ours.
            unsafe { proof::write(machine.frame_address(frame.pfn()), mark)? };
        }
        let page = machine.layout.scratch.start;
        let mut case = Flush {
            machine,
            page,
            protection,
            frames,
            flush,
        };
        case.map(0)?;
        Ok(case)
    }

    fn map(&mut self, frame: usize) -> Result<(), Failure> {
        let frame = self.frames[frame].pfn();
        self.machine.scratch.map(
            self.page,
            frame..frame.add(1),
            self.protection,
            PageSize::Size4K,
            &mut self.machine.kernel.tables(),
        )?;
        Ok(())
    }

    /// Maps the first frame at the page with this number, and nothing where it was.
    fn move_to(&mut self, place: u64) -> Result<(), Failure> {
        let owed = self.machine.scratch.unmap(self.page, 1)?;
        owed.flush(&self.machine.kernel.tlb);
        self.page = VirtAddr(self.machine.layout.scratch.start.0 + place * PAGE_SIZE);
        self.map(0)
    }

    fn end(self) -> Result<(), Failure> {
        let kernel = &mut self.machine.kernel;
        let owed = self.machine.scratch.unmap(self.page, 1)?;
        owed.flush(&kernel.tlb);
        for frame in self.frames {
            kernel.frames.free(frame)?;
        }
        Ok(())
    }
}

impl<F: FnMut(VirtAddr)> Case for Flush<'_, F> {
    fn operation(&mut self) {
        (self.flush)(self.page);
    }

    fn batch(&self) -> u32 {
        32
    }

    fn verify(&mut self) -> Result<(), Failure> {
        staleness::prove(staleness::known(self.machine), |place| {
            self.move_to(place)?;
            let mut all_old = true;
            for frame in [1, 0] {
                let before = proof::read(self.page)?;
                expect_eq!("the page before", before, MARKS[1 - frame]);
                // The operation is the flush that is owed.
                drop(self.machine.scratch.unmap(self.page, 1)?);
                self.map(frame)?;
                all_old &= staleness::is_old(self.page, MARKS[1 - frame], MARKS[frame])?;
                perform(self);
                let after = proof::read(self.page)?;
                expect_eq!("the page after the flush", after, MARKS[frame]);
            }
            Ok(all_old)
        })
    }
}

fn measure(
    machine: &mut Machine,
    run: &mut Run,
    name: &str,
    protection: Protection,
    flush: impl FnMut(VirtAddr),
) {
    match Flush::new(machine, protection, flush) {
        Ok(mut case) => {
            run.measure_hot_and_cold(name, &mut case);
            if let Err(failure) = case.end() {
                run.check(name, Err(failure));
            }
        }
        Err(failure) => run.check(name, Err(failure)),
    }
}

/// An operation that leaves global translations alone does: the page still reads as before. Known only where the TLB keeps all.
fn spares_global(machine: &mut Machine, spare: impl FnMut(VirtAddr)) -> Result<(), Failure> {
    let mut case = Flush::new(machine, Protection::READ_WRITE, spare)?;
    let outcome = staleness::prove(staleness::known(case.machine), |place| {
        case.move_to(place)?;
        let before = proof::read(case.page)?;
        expect_eq!("the page before", before, MARKS[0]);
        drop(case.machine.scratch.unmap(case.page, 1)?);
        case.map(1)?;
        case.operation();
        let old = staleness::is_old(case.page, MARKS[0], MARKS[1])?;
        invlpg(case.page);
        let after = proof::read(case.page)?;
        expect_eq!("the page after INVLPG", after, MARKS[1]);
        Ok(old)
    });
    case.end()?;
    outcome
}

/// INVLPG alone, but for the feature that the gate is tested with.
fn flush_page(page: VirtAddr) {
    #[cfg(added_nop)]
    // SAFETY: a NOP.
    unsafe {
        core::arch::asm!("nop", options(nomem, nostack, preserves_flags));
    }
    invlpg(page);
}

pub(super) fn run(machine: &mut Machine, run: &mut Run) {
    let global = Protection::READ_WRITE;
    let local = global.not_global();
    measure(machine, run, "tlb/invlpg", global, flush_page);
    measure(machine, run, "tlb/cr3_reload", local, |_| reload_cr3());
    if machine.features.global_pages {
        measure(machine, run, "tlb/pge_toggle", global, |_| toggle_pge());
        if run.would("tlb/cr3_reload") {
            let outcome = spares_global(machine, |_| reload_cr3());
            run.check("tlb/cr3_reload/spares_global", outcome);
        }
    } else {
        run.skip("tlb/pge_toggle", "the CPU has no PGE");
    }
    invpcids(machine, run);
    broadcasts(machine, run);
}

fn invpcids(machine: &mut Machine, run: &mut Run) {
    let global = Protection::READ_WRITE;
    let local = global.not_global();
    for (name, kind, protection) in [
        ("tlb/invpcid/type=address", InvpcidType::Address, local),
        ("tlb/invpcid/type=context", InvpcidType::Context, local),
        ("tlb/invpcid/type=all", InvpcidType::All, global),
        (
            "tlb/invpcid/type=all_non_global",
            InvpcidType::AllNonGlobal,
            local,
        ),
    ] {
        if !machine.features.invpcid {
            run.skip(name, "the CPU has no INVPCID");
            continue;
        }
        // SAFETY: CPUID reports the instruction; PCID 0 is always allowed.
        let invalidate = |page| unsafe { invpcid(kind, 0, page) };
        measure(machine, run, name, protection, invalidate);
        if protection == local && run.would(name) {
            let outcome = spares_global(machine, invalidate);
            run.check(format_args!("{name}/spares_global"), outcome);
        }
    }
}

fn broadcasts(machine: &mut Machine, run: &mut Run) {
    const PAGE: &str = "tlb/invlpgb/pages=1";
    const ALL: &str = "tlb/invlpgb/all";
    let Some(tlbs) = BroadcastTlb::new(&machine.features) else {
        for name in [PAGE, ALL] {
            run.skip(name, "the CPU has no INVLPGB");
        }
        return;
    };
    let global = Protection::READ_WRITE;
    measure(machine, run, PAGE, global, |page| {
        tlbs.flush_pages(page, 1, PageSize::Size4K);
    });
    measure(machine, run, ALL, global, |_| tlbs.flush_all());
}

/// Measures another operation that drops a page's translation, global or not, with the same proof.
pub(super) fn measure_global(
    machine: &mut Machine,
    run: &mut Run,
    name: &str,
    flush: impl FnMut(VirtAddr),
) {
    measure(machine, run, name, Protection::READ_WRITE, flush);
}
