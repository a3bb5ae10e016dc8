//! An address space that changes under CPUs that load it, leave it and come back, with PCIDs where the CPU has them: what its page
//! shows is never older than what was flushed for.

use core::hint::spin_loop;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed, Ordering::Release};

use pagemark::cpu::address_space::{enter, leave};
use pagemark::cpu::direct_map::DirectMap;
use pagemark::cpu::pcid;
use pagemark::cpu::spin::{Bound, MEASUREMENT};
use pagemark::kernel::Kernel;
use pagemark::machine::Machine;
use pagemark::mm::address::{Pfn, VirtAddr};
use pagemark::mm::address_space::UserHalf;
use pagemark::mm::frame::{Block, Gfp};
use pagemark::mm::page_table::Protection;
use pagemark::mm::shootdown::CpuId;
use pagemark::mm::tlb::Contexts;

use super::{AnyTlb, Reads, Tally};
use crate::cases::address_space::{end_space, new_space};
use crate::cases::proof;
use crate::harness::case::Failure;

/// The page of the space.
const PAGE: VirtAddr = VirtAddr(0x40_0000_0000);

/// The page, and the two frames that it shows in turn.
struct Page<'s> {
    half: UserHalf<'s, DirectMap>,
    frames: [Pfn; 2],
    windows: [VirtAddr; 2],
    known: &'s AtomicU64,
}

impl Page<'_> {
    /// Has the page show the version `round`, and makes that known after the flush.
    fn turn(
        &mut self,
        contexts: &mut Contexts,
        tlb: &AnyTlb<'_>,
        round: u64,
    ) -> Result<(), Failure> {
        let next = (round % 2) as usize;
        // SAFETY: the frame is ours, and no page shows it that anybody may still read.
        unsafe { proof::write(self.windows[next], round)? };
        let frame = self.frames[next];
        let pending = self.half.remap(PAGE, frame..frame.add(1))?;
        pending.flush(contexts, tlb);
        self.known.store(round, Release);
        Ok(())
    }
}

#[inline(never)]
fn two_frames(kernel: &mut Kernel) -> Result<[Block; 2], Failure> {
    let first = kernel.frames.alloc_page(Gfp::KERNEL)?;
    Ok([first, kernel.frames.alloc_page(Gfp::KERNEL)?])
}

#[inline(never)]
fn give_back(kernel: &mut Kernel, blocks: [Block; 2]) -> Result<(), Failure> {
    for block in blocks {
        kernel.frames.free(block)?;
    }
    Ok(())
}

/// This CPU changes the page, at first from outside of the space and then within it. Of the others every second one stays in the
/// space, and the rest go to another one and back between two reads.
pub(super) fn changing_space(
    machine: &mut Machine,
    tlb: &AnyTlb<'_>,
    rounds: u64,
) -> Result<Tally, Failure> {
    let kernel = &mut machine.kernel;
    let blocks = two_frames(kernel)?;
    let frames = [blocks[0].pfn(), blocks[1].pfn()];
    let windows = frames.map(|frame| machine.direct_map.address(frame));
    let (mut space, away) = (new_space(kernel)?, new_space(kernel)?);
    // SAFETY: the frame is ours.
    unsafe { proof::write(windows[0], 0)? };
    let mut tables = kernel.tables();
    let first = frames[0]..frames[0].add(1);
    space.map(PAGE, first, Protection::READ_WRITE, &mut tables)?;
    let root = kernel.table.root();
    let (reads, known, over) = (Reads::default(), AtomicU64::new(0), AtomicU64::new(0));
    let (half, loadable) = space.split();
    let mut page = Page {
        half,
        frames,
        windows,
        known: &known,
    };
    let respond = |cpu: CpuId| {
        let mut contexts = Contexts::new(pcid::enabled());
        // SAFETY: both spaces stay until after the last of these CPUs has left them.
        unsafe { enter(loadable, &mut contexts) };
        let mut bound = Bound::new(MEASUREMENT);
        while over.load(Relaxed) == 0 && bound.spin() {
            reads.read(&known, PAGE);
            if cpu.number().is_multiple_of(2) {
                // SAFETY: as above.
                unsafe { enter(away.loadable(), &mut contexts) };
                // SAFETY: as above.
                unsafe { enter(loadable, &mut contexts) };
            }
        }
        // SAFETY: that is the reference table.
        unsafe { leave(root, &mut contexts) };
    };
    let all = machine.processors.others().clone();
    let mut contexts = Contexts::new(pcid::enabled());
    let outcome = machine.processors.online(&all, |online| {
        online.run_on_all(&respond, || {
            let outcome = (1..=rounds).try_for_each(|round| {
                if round > rounds / 2 {
                    // SAFETY: the space stays until after `leave`.
                    unsafe { enter(loadable, &mut contexts) };
                    reads.read(&known, PAGE);
                }
                page.turn(&mut contexts, tlb, round)?;
                // The others have their turn where CPUs take turns.
                spin_loop();
                Ok(())
            });
            // SAFETY: that is the reference table.
            unsafe { leave(root, &mut contexts) };
            over.store(1, Relaxed);
            outcome
        })
    });
    let kernel = &mut machine.kernel;
    space.unmap(PAGE, 1)?.flush(&mut contexts, &kernel.tlb);
    end_space(kernel, space)?;
    end_space(kernel, away)?;
    give_back(kernel, blocks)?;
    outcome.map(|()| reads.tally())
}
