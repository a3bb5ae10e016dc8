//! The instructions that drop translations, bare: no policy, no loop.
//!
//! The proof of each: a page is read, so that the TLB has it; its entry is changed to another frame without a flush; after the
//! operation the page reads as the other frame.

use pagemark::cpu::invalidate::{InvpcidType, invlpg, invpcid, reload_cr3, toggle_pge};
use pagemark::machine::Machine;
use pagemark::mm::address::{PageSize, VirtAddr};
use pagemark::mm::frame::{Block, Gfp};
use pagemark::mm::page_table::Protection;

use super::proof;
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
        let (table, mut tables) = self.machine.kernel.table_and_tables();
        table.map(
            self.page,
            frame..frame.add(1),
            self.protection,
            PageSize::Size4K,
            &mut tables,
        )?;
        Ok(())
    }

    fn end(self) -> Result<(), Failure> {
        let kernel = &mut self.machine.kernel;
        kernel.table.unmap(self.page, 1)?.flush(&kernel.tlb);
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
        for frame in [1, 0] {
            let before = proof::read(self.page)?;
            expect_eq!("the page before", before, MARKS[1 - frame]);
            // The operation is the flush that is owed.
            drop(self.machine.kernel.table.unmap(self.page, 1)?);
            self.map(frame)?;
            perform(self);
            let after = proof::read(self.page)?;
            expect_eq!("the page after the flush", after, MARKS[frame]);
        }
        Ok(())
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

pub(super) fn run(machine: &mut Machine, run: &mut Run) {
    let global = Protection::READ_WRITE;
    let local = global.not_global();
    measure(machine, run, "tlb/invlpg", global, invlpg);
    measure(machine, run, "tlb/cr3_reload", local, |_| reload_cr3());
    if machine.features.global_pages {
        measure(machine, run, "tlb/pge_toggle", global, |_| toggle_pge());
    } else {
        run.skip("tlb/pge_toggle", "the CPU has no PGE");
    }
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
        if machine.features.invpcid {
            // SAFETY: CPUID reports the instruction.
            measure(machine, run, name, protection, |page| unsafe {
                invpcid(kind, 0, page)
            });
        } else {
            run.skip(name, "the CPU has no INVPCID");
        }
    }
}
