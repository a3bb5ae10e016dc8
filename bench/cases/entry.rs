//! Entries to the kernel: from the kernel to ring 3 and back, by SYSCALL and by an interrupt gate, with CR3 as it is or loaded on either way,
//! as page-table isolation does it.
//!
//! The bare transitions: no register is saved, and the code in ring 3 comes straight back.

use pagemark::cpu::address_space::{enter, leave};
use pagemark::cpu::pcid;
use pagemark::cpu::registers::cr3;
use pagemark::cpu::segments;
use pagemark::cpu::user_mode::{By, CODE_BYTES, Trip, UserMode, code};
use pagemark::machine::Machine;
use pagemark::mm::address::{Order, PAGE_SIZE, VirtAddr};
use pagemark::mm::frame::Gfp;
use pagemark::mm::page_table::Protection;
use pagemark::mm::tlb::Contexts;

use super::address_space::{Space, end_space, new_space};
use super::proof;
use crate::harness::case::{Case, Failure, expect_eq};
use crate::harness::run::{Run, Tier};

/// The page of the code.
const PAGE: VirtAddr = VirtAddr(0x40_0000_0000);
/// The stack for what comes from ring 3: the handlers of exceptions run on it.
const STACK: u64 = 4 * PAGE_SIZE;
/// Of what is written to CR3: the translations of the PCID stay.
const KEEP: u64 = 1 << 63;

/// What is in CR3 on the ways.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Roots {
    /// The space's root, in the kernel, too.
    Same,
    /// In the kernel the reference table; each load drops what is not global.
    Switched,
    /// The same under two PCIDs, whose translations stay.
    SwitchedPcid,
}

impl Roots {
    const ALL: [Roots; 3] = [Roots::Same, Roots::Switched, Roots::SwitchedPcid];
}

/// The names, by SYSCALL and by the gate.
const NAMES: [(By, [&str; 3]); 2] = [
    (
        By::Syscall,
        [
            "entry/round_trip/by=syscall/cr3=same",
            "entry/round_trip/by=syscall/cr3=switched",
            "entry/round_trip/by=syscall/cr3=switched_pcid",
        ],
    ),
    (
        By::Interrupt,
        [
            "entry/round_trip/by=interrupt/cr3=same",
            "entry/round_trip/by=interrupt/cr3=switched",
            "entry/round_trip/by=interrupt/cr3=switched_pcid",
        ],
    ),
];

struct RoundTrip<'m> {
    machine: &'m mut Machine,
    space: Space,
    contexts: Contexts,
    mode: UserMode,
    trip: Trip,
    roots: Roots,
}

impl Case for RoundTrip<'_> {
    fn prepare(&mut self) -> Result<(), Failure> {
        (self.trip.segment, self.trip.next) = (0, 0);
        if self.roots == Roots::Same {
            // SAFETY: the space stays, the contexts are this CPU's, and `restore` leaves it.
            unsafe { enter(self.space.loadable(), &mut self.contexts) };
        }
        Ok(())
    }

    fn operation(&mut self) {
        // SAFETY: the page has the code of this kind, in the space, whose root has the kernel half of the reference table. Nothing that
        // either root maps changes between two trips.
        unsafe { self.mode.go(&mut self.trip) };
    }

    fn batch(&self) -> u32 {
        16
    }

    fn verify(&mut self) -> Result<(), Failure> {
        let ring_3 = u64::from(segments::USER_CODE.bits());
        expect_eq!("the code segment", self.trip.segment, ring_3);
        let next = PAGE.0 + CODE_BYTES;
        expect_eq!("the instruction behind the entry", self.trip.next, next);
        let expected = match self.roots {
            Roots::Same => self.trip.user_cr3,
            Roots::Switched | Roots::SwitchedPcid => self.trip.kernel_cr3,
        };
        expect_eq!("CR3 in the kernel", cr3(), expected & !KEEP);
        Ok(())
    }

    fn restore(&mut self) -> Result<(), Failure> {
        if self.roots == Roots::Same {
            // SAFETY: that is the reference table.
            unsafe { leave(self.machine.kernel.table.root(), &mut self.contexts) };
        }
        Ok(())
    }
}

fn measure(
    machine: &mut Machine,
    run: &mut Run,
    name: &str,
    by: By,
    roots: Roots,
) -> Result<(), Failure> {
    let order = Order::for_frames(STACK / PAGE_SIZE);
    let order = order.ok_or(Failure::new(format_args!("too large a stack")))?;
    let page = machine.kernel.frames.alloc_page(Gfp::KERNEL)?;
    let stack = machine.kernel.frames.alloc_pages(Gfp::KERNEL, order)?;
    let with_cr3 = roots != Roots::Same;
    // SAFETY: the frame is ours.
    unsafe { proof::write(machine.frame_address(page.pfn()), code(by, with_cr3))? };
    let mut space = new_space(&mut machine.kernel)?;
    let mut tables = machine.kernel.tables();
    let frames = page.pfn()..page.pfn().add(1);
    space.map(PAGE, frames, Protection::READ_EXECUTE.user(), &mut tables)?;
    let mut contexts = Contexts::new(pcid::enabled());
    let kernel_cr3 = cr3();
    // SAFETY: the space stays until the end, and the reference table is loaded again.
    unsafe { enter(space.loadable(), &mut contexts) };
    let user_cr3 = cr3();
    // SAFETY: that is the reference table.
    unsafe { leave(machine.kernel.table.root(), &mut contexts) };
    let keep = if roots == Roots::SwitchedPcid {
        KEEP
    } else {
        0
    };
    let top = VirtAddr(machine.frame_address(stack.pfn()).0 + STACK);
    let mut case = RoundTrip {
        machine,
        space,
        contexts,
        // SAFETY: the frames are ours, and lie in the direct map, which all roots have.
        mode: unsafe { UserMode::new(by, with_cr3, top) },
        trip: Trip::to(PAGE, user_cr3 | keep, kernel_cr3 | keep),
        roots,
    };
    run.measure(name, &mut case);
    let RoundTrip {
        machine,
        mut space,
        mut contexts,
        mode,
        ..
    } = case;
    mode.end();
    let kernel = &mut machine.kernel;
    // SAFETY: that is the reference table.
    unsafe { leave(kernel.table.root(), &mut contexts) };
    space.unmap(PAGE, 1)?.flush(&mut contexts, &kernel.tlb);
    end_space(kernel, space)?;
    kernel.frames.free(page)?;
    kernel.frames.free(stack)?;
    Ok(())
}

pub(super) fn run(machine: &mut Machine, run: &mut Run) {
    run.in_tier(Tier::Full, |run| {
        for (by, names) in NAMES {
            for (roots, name) in Roots::ALL.into_iter().zip(names) {
                if roots == Roots::SwitchedPcid && !pcid::enabled() {
                    run.skip(name, "the CPU has no PCID");
                } else if run.would(name)
                    && let Err(failure) = measure(machine, run, name, by, roots)
                {
                    run.check(name, Err(failure));
                }
            }
        }
    });
}
