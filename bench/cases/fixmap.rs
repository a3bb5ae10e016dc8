//! Setting a slot of the fixmap, which was set before: an entry and a local INVLPG.

use pagemark::cpu::invalidate::LocalTlb;
use pagemark::cpu::probe::{self, PageFaultError};
use pagemark::machine::Machine;
use pagemark::mm::fixmap::FixmapSlot;
use pagemark::mm::frame::{Block, Gfp};
use pagemark::mm::page_table::Protection;
use pagemark::mm::tlb::Tlb;

use super::proof;
use crate::harness::case::{Case, Failure, expect_eq};
use crate::harness::mutation::perform;
use crate::harness::run::Run;

/// What the two frames hold.
const MARKS: [u64; 2] = [0x6669_786d_6170_0000, 0x6669_786d_6170_0001];

struct Set<'m> {
    machine: &'m mut Machine,
    local: Tlb<LocalTlb>,
    slot: FixmapSlot,
    frames: [Block; 2],
    /// Which frame comes next.
    next: usize,
}

impl Case for Set<'_> {
    fn prepare(&mut self) -> Result<(), Failure> {
        // A translation that the operation has to drop; the first time there is none.
        let _ = probe::read(self.slot.address());
        self.next = 1 - self.next;
        Ok(())
    }

    fn operation(&mut self) {
        let frame = self.frames[self.next].pfn();
        let fixmap = &self.machine.fixmap;
        fixmap.set(self.slot, frame, Protection::READ_WRITE, &self.local);
    }

    fn batch(&self) -> u32 {
        32
    }

    fn verify(&mut self) -> Result<(), Failure> {
        for _ in 0..2 {
            let word = proof::read(self.slot.address())?;
            expect_eq!("the slot's word", word, MARKS[self.next]);
            self.next = 1 - self.next;
            perform(self);
        }
        Ok(())
    }
}

fn set(machine: &mut Machine, run: &mut Run, name: &str) -> Result<(), Failure> {
    let Some(slot) = FixmapSlot::of_cpu(FixmapSlot::CPUS - 1) else {
        return Ok(());
    };
    let frames = &mut machine.kernel.frames;
    let frames = [
        frames.alloc_page(Gfp::KERNEL)?,
        frames.alloc_page(Gfp::KERNEL)?,
    ];
    for (frame, mark) in frames.iter().zip(MARKS) {
        // SAFETY: the frame is ours.
        unsafe { proof::write(machine.frame_address(frame.pfn()), mark)? };
    }
    let local = Tlb::new(LocalTlb::new(&machine.features), 1);
    let mut case = Set {
        machine,
        local,
        slot,
        frames,
        next: 0,
    };
    run.measure_hot_and_cold(name, &mut case);
    case.machine.fixmap.clear(slot, &case.local);
    for frame in case.frames {
        case.machine.kernel.frames.free(frame)?;
    }
    proof::expect_fault(slot.address(), PageFaultError::empty())
}

pub(super) fn run(machine: &mut Machine, run: &mut Run) {
    let name = "fixmap/set";
    if run.would(name)
        && let Err(failure) = set(machine, run, name)
    {
        run.check(name, Err(failure));
    }
}
