//! kmap, and the slot for a moment: how frames outside the direct map are reached. Only the classic layout has such frames.

use core::sync::atomic::Ordering;

use pagemark::machine::Machine;
use pagemark::mm::address::{Order, PAGE_SIZE, Pfn, VirtAddr};
use pagemark::mm::fixmap::FixmapSlot;
use pagemark::mm::frame::{Block, Gfp};
use pagemark::mm::hardware::PhysicalMemory;
use pagemark::mm::kmap::{KmapError, Kmapped, KunmapError};
use pagemark::mm::layout::KMAP_SLOTS;

use super::proof;
use crate::harness::case::{Case, Failure, expect_eq};
use crate::harness::run::Run;

/// Frames that take turns: more than the window has slots, so that one that comes again has lost its slot.
const FRAMES: u64 = 2 * KMAP_SLOTS;

/// A block of high memory, frame by frame.
struct Frames<'m> {
    machine: &'m mut Machine,
    block: Block,
    /// How many have had their turn.
    turns: u64,
}

impl<'m> Frames<'m> {
    fn new(machine: &'m mut Machine) -> Result<Self, Failure> {
        let block = machine
            .kernel
            .frames
            .alloc_pages(Gfp::KERNEL | Gfp::HIGHMEM, Order::MAX)?;
        Ok(Frames {
            machine,
            block,
            turns: 0,
        })
    }

    /// The next frame.
    fn next(&mut self) -> Pfn {
        self.turns += 1;
        self.block.pfn().add(self.turns % FRAMES)
    }

    fn map(&mut self, frame: Pfn) -> Result<Kmapped, KmapError> {
        self.machine.kmap.map(frame, &self.machine.kernel.tlb)
    }

    /// What is written at the address is found in the frame.
    fn expect_seen(&self, frame: Pfn, address: VirtAddr) -> Result<(), Failure> {
        let mark = 0x6b6d_6170_0000_0000 + frame.0;
        // SAFETY: the frame is ours.
        unsafe { proof::write(address, mark)? };
        expect_eq!(
            "a word of the frame",
            proof::read_frame(self.machine, frame),
            mark
        );
        Ok(())
    }

    fn end(self) -> Result<(), Failure> {
        expect_eq!("slots in use", self.machine.kmap.used(), 0);
        self.machine.kernel.frames.free(self.block)?;
        Ok(())
    }
}

/// Which frames a [`Map`] is about.
#[derive(Clone, Copy)]
enum Which {
    /// One that no slot shows, and a slot is ready.
    New,
    /// One that a slot shows.
    Mapped,
    /// One that no slot shows, at the end of a turn: every slot has been used and given back.
    EndOfTurn,
}

struct Map<'m> {
    frames: Frames<'m>,
    which: Which,
    frame: Pfn,
    mapped: Option<Result<Kmapped, KmapError>>,
}

impl Map<'_> {
    /// Maps the next frame and gives it back.
    fn pass(&mut self) -> Result<VirtAddr, Failure> {
        let frame = self.frames.next();
        let mapped = self.frames.map(frame)?;
        let address = mapped.address();
        self.frames.machine.kmap.unmap(mapped)?;
        Ok(address)
    }
}

impl Case for Map<'_> {
    fn prepare(&mut self) -> Result<(), Failure> {
        let window = self.frames.machine.layout.kmap;
        let (first, last) =
            window.map_or((0, 0), |region| (region.start.0, region.end.0 - PAGE_SIZE));
        match self.which {
            // Behind the last slot comes the flush.
            Which::New => while self.pass()?.0 == last {},
            Which::Mapped => {
                self.pass()?;
                // Still shown, though nobody uses it.
                self.frames.turns -= 1;
            }
            Which::EndOfTurn => {
                while self.pass()?.0 != last {}
                // A translation that the operation has to drop.
                proof::read(VirtAddr(first))?;
            }
        }
        self.frame = self.frames.next();
        Ok(())
    }

    fn operation(&mut self) {
        self.mapped = Some(self.frames.map(self.frame));
    }

    fn verify(&mut self) -> Result<(), Failure> {
        match &self.mapped {
            Some(Ok(mapped)) => {
                expect_eq!("slots in use", self.frames.machine.kmap.used(), 1);
                self.frames.expect_seen(self.frame, mapped.address())
            }
            // `restore` returns the error.
            Some(Err(_)) => Ok(()),
            None => Err(Failure::new(format_args!("no frame was mapped"))),
        }
    }

    fn restore(&mut self) -> Result<(), Failure> {
        if let Some(mapped) = self.mapped.take() {
            self.frames.machine.kmap.unmap(mapped?)?;
        }
        Ok(())
    }
}

struct Unmap<'m> {
    frames: Frames<'m>,
    address: VirtAddr,
    outcome: Result<(), KunmapError>,
}

impl Case for Unmap<'_> {
    fn prepare(&mut self) -> Result<(), Failure> {
        let frame = self.frames.next();
        let mapped = self.frames.map(frame)?;
        self.frames.expect_seen(frame, mapped.address())?;
        self.address = mapped.into_raw();
        Ok(())
    }

    fn operation(&mut self) {
        self.outcome = self.frames.machine.kmap.unmap_at(self.address);
    }

    fn verify(&mut self) -> Result<(), Failure> {
        let (address, kmap) = (self.address, &mut self.frames.machine.kmap);
        expect_eq!("slots in use", kmap.used(), 0);
        let again = kmap.unmap_at(address);
        expect_eq!(
            "a second kunmap",
            again,
            Err(KunmapError::NotMapped { address })
        );
        Ok(())
    }

    fn restore(&mut self) -> Result<(), Failure> {
        Ok(self.outcome?)
    }
}

/// A look at a frame through this CPU's slot of the fixmap: set, one word, clear.
struct Atomic<'m> {
    frames: Frames<'m>,
    frame: Pfn,
    word: u64,
}

impl Case for Atomic<'_> {
    fn prepare(&mut self) -> Result<(), Failure> {
        self.frame = self.frames.next();
        let mapped = self.frames.map(self.frame)?;
        self.frames.expect_seen(self.frame, mapped.address())?;
        self.frames.machine.kmap.unmap(mapped)?;
        self.word = 0;
        Ok(())
    }

    fn operation(&mut self) {
        let memory = self.frames.machine.kernel.memory();
        // SAFETY: the frame is ours.
        self.word =
            unsafe { memory.with_words(self.frame, |words| words[0].load(Ordering::Relaxed)) };
    }

    fn verify(&mut self) -> Result<(), Failure> {
        let mark = 0x6b6d_6170_0000_0000 + self.frame.0;
        expect_eq!("the frame's word", self.word, mark);
        let slot = FixmapSlot::of_cpu(0).map(|slot| self.frames.machine.fixmap.is_set(slot));
        expect_eq!("the slot is set", slot, Some(false));
        Ok(())
    }
}

/// Frames of high memory are only reached as they should be: written through kmap, read through a vmalloc area.
fn check(machine: &mut Machine) -> Result<(), Failure> {
    let area = machine
        .vmalloc
        .vmalloc(64 * PAGE_SIZE, &mut machine.kernel)?;
    let direct_mapped = machine.layout.direct_mapped();
    let outcome = (0..64).try_for_each(|page| {
        let address = VirtAddr(area.start().0 + page * PAGE_SIZE);
        let translation = machine.kernel.table.translate(address);
        let frame = translation.map(|found| found.address.frame());
        let frame = frame.ok_or(Failure::new(format_args!("{address} is not mapped")))?;
        expect_eq!(
            "a frame of vmalloc lies outside the direct map",
            frame.address().0 >= direct_mapped,
            true
        );
        let mapped = machine.kmap.map(frame, &machine.kernel.tlb)?;
        // SAFETY: the frame is the area's, which is ours.
        let written = unsafe { proof::write(mapped.address(), frame.0 ^ page) };
        machine.kmap.unmap(mapped)?;
        written?;
        expect_eq!(
            "a word written through kmap",
            proof::read(address)?,
            frame.0 ^ page
        );
        Ok(())
    });
    machine.vmalloc.vfree(area, &mut machine.kernel)?;
    outcome
}

fn map(machine: &mut Machine, run: &mut Run, name: &str, which: Which) -> Result<(), Failure> {
    let mut case = Map {
        frames: Frames::new(machine)?,
        which,
        frame: Pfn(0),
        mapped: None,
    };
    run.measure(name, &mut case);
    case.frames.end()
}

fn unmap(machine: &mut Machine, run: &mut Run, name: &str) -> Result<(), Failure> {
    let mut case = Unmap {
        frames: Frames::new(machine)?,
        address: VirtAddr(0),
        outcome: Ok(()),
    };
    run.measure(name, &mut case);
    case.frames.end()
}

fn atomic(machine: &mut Machine, run: &mut Run, name: &str) -> Result<(), Failure> {
    let mut case = Atomic {
        frames: Frames::new(machine)?,
        frame: Pfn(0),
        word: 0,
    };
    run.measure(name, &mut case);
    case.frames.end()
}

/// One case: prepares, measures, and ends it under its name.
type Measure = fn(&mut Machine, &mut Run, &str) -> Result<(), Failure>;

pub(super) fn run(machine: &mut Machine, run: &mut Run) {
    let high_memory = machine.kernel.frames.has_high_memory();
    if high_memory {
        run.check("kmap/vmalloc_agrees", check(machine));
    }
    let cases: [(&str, Measure); 5] = [
        ("kmap/map/frame=new", |machine, run, name| {
            map(machine, run, name, Which::New)
        }),
        ("kmap/map/frame=mapped", |machine, run, name| {
            map(machine, run, name, Which::Mapped)
        }),
        ("kmap/map/turn=over", |machine, run, name| {
            map(machine, run, name, Which::EndOfTurn)
        }),
        ("kmap/unmap", unmap),
        ("kmap/atomic", atomic),
    ];
    for (name, measure) in cases {
        if !high_memory {
            run.skip(name, "all frames are in the direct map");
        } else if run.would(name)
            && let Err(failure) = measure(machine, run, name)
        {
            run.check(name, Err(failure));
        }
    }
}
