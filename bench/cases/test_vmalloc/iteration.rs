//! One iteration of a shape's loop as a case: what it takes and writes to, and the proof that it did.

use core::{error, fmt};

use pagemark::cpu::probe::PageFaultError;
use pagemark::machine::Machine;
use pagemark::mm::address::{Pfn, VirtAddr};
use pagemark::mm::page_table::Protection;
use pagemark::mm::vmalloc::{Area, Request, VfreeError, VmallocError, VmapError};

use crate::cases::proof;
use crate::harness::case::{Case, Failure, expect_eq};

/// What went wrong inside an iteration.
#[derive(Clone, Copy, Debug)]
pub(super) enum Refused {
    Vmalloc(VmallocError),
    Vmap(VmapError),
    Vfree(VfreeError),
    /// A request was served that cannot be.
    Nothing,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::Vmalloc(error) => error.fmt(f),
            Refused::Vmap(error) => error.fmt(f),
            Refused::Vfree(error) => error.fmt(f),
            Refused::Nothing => f.write_str("a request beyond all addresses was served"),
        }
    }
}

impl error::Error for Refused {}

impl From<VmallocError> for Refused {
    fn from(error: VmallocError) -> Self {
        Refused::Vmalloc(error)
    }
}

impl From<VmapError> for Refused {
    fn from(error: VmapError) -> Self {
        Refused::Vmap(error)
    }
}

impl From<VfreeError> for Refused {
    fn from(error: VfreeError) -> Self {
        Refused::Vfree(error)
    }
}

/// What an iteration leaves to be looked at: the start of the area that was taken last.
pub(super) struct Trace(Option<VirtAddr>);

impl Trace {
    /// Writes a byte to an area, and remembers where it was.
    #[inline(always)]
    fn touch(&mut self, area: &Area) {
        self.0 = Some(area.start());
        // SAFETY: the area is the caller's, mapped, and has a page at least.
        unsafe { (area.start().0 as *mut u8).write_volatile(1) };
    }
}

/// Takes an area and writes to it. A call, as vmalloc and vfree are to the module.
#[inline(never)]
pub(super) fn take(
    machine: &mut Machine,
    request: Request,
    trace: &mut Trace,
) -> Result<Area, Refused> {
    let area = machine.vmalloc.vmalloc_with(request, &mut machine.kernel)?;
    trace.touch(&area);
    Ok(area)
}

/// Frees an area.
#[inline(never)]
pub(super) fn free(machine: &mut Machine, area: Area) -> Result<(), Refused> {
    Ok(machine.vmalloc.vfree(area, &mut machine.kernel)?)
}

/// Takes an area, writes to it and frees it.
#[inline(always)]
pub(super) fn take_and_free(
    machine: &mut Machine,
    request: Request,
    trace: &mut Trace,
) -> Result<(), Refused> {
    let area = take(machine, request, trace)?;
    free(machine, area)
}

/// Maps frames and writes to the first.
#[inline(always)]
pub(super) fn map_ram(
    machine: &mut Machine,
    frames: &[Pfn],
    protection: Protection,
    trace: &mut Trace,
) -> Result<Area, Refused> {
    let area = machine
        .vmalloc
        .vmap(frames, protection, &mut machine.kernel)?;
    trace.touch(&area);
    Ok(area)
}

/// A shape's loop.
pub(super) struct Loop<'m, F> {
    machine: &'m mut Machine,
    once: F,
    trace: Trace,
    outcome: Result<(), Refused>,
    /// Whether the area that was taken last is freed by the next iteration only.
    last_waits: bool,
    /// Free frames and live areas before the iteration.
    before: (u64, usize),
}

impl<'m, F: FnMut(&mut Machine, &mut Trace) -> Result<(), Refused>> Loop<'m, F> {
    pub(super) fn new(machine: &'m mut Machine, last_waits: bool, once: F) -> Self {
        Loop {
            machine,
            once,
            trace: Trace(None),
            outcome: Ok(()),
            last_waits,
            before: (0, 0),
        }
    }

    fn frames_and_areas(&self) -> (u64, usize) {
        let kernel = &self.machine.kernel;
        let frames = kernel.free_frames() + kernel.table_frames();
        (frames, self.machine.vmalloc.live())
    }
}

impl<F: FnMut(&mut Machine, &mut Trace) -> Result<(), Refused>> Case for Loop<'_, F> {
    fn prepare(&mut self) -> Result<(), Failure> {
        self.trace = Trace(None);
        self.before = self.frames_and_areas();
        Ok(())
    }

    fn operation(&mut self) {
        self.outcome = (self.once)(self.machine, &mut self.trace);
    }

    fn verify(&mut self) -> Result<(), Failure> {
        let Some(area) = self.trace.0 else {
            return Err(Failure::new(format_args!("no area was taken")));
        };
        if self.last_waits {
            expect_eq!("the byte written", proof::read(area)? as u8, 1);
            return Ok(());
        }
        let translation = self.machine.kernel.table.translate(area);
        expect_eq!("the freed area in the page table", translation, None);
        // While its addresses wait for a flush, what a TLB has of them means nothing.
        if self.machine.vmalloc.waiting().areas == 0 {
            proof::expect_fault(area, PageFaultError::empty())?;
        }
        expect_eq!(
            "free frames, live areas",
            self.frames_and_areas(),
            self.before
        );
        Ok(())
    }

    fn restore(&mut self) -> Result<(), Failure> {
        Ok(self.outcome?)
    }
}
