//! vmalloc and vfree of whole areas: addresses, frames and entries, and on freeing the flush.

use pagemark::cpu::probe::PageFaultError;
use pagemark::machine::Machine;
use pagemark::mm::address::{PAGE_SIZE, VirtAddr};
use pagemark::mm::vmalloc::{Area, VfreeError, VmallocError};

use super::proof;
use crate::harness::case::{Case, Failure, expect_eq};
use crate::harness::run::Run;

/// What is written through an area reads back from its frame, on every page; the guard page behind it faults.
fn expect_usable(machine: &Machine, area: &Area) -> Result<(), Failure> {
    for offset in (0..area.bytes()).step_by(PAGE_SIZE as usize) {
        let address = VirtAddr(area.start().0 + offset);
        let mark = 0x766d_616c_6c6f_0000 + offset;
        // SAFETY: the area is ours.
        unsafe { proof::write(address, mark)? };
        let translation = machine.kernel.table.translate(address);
        let frame = translation
            .ok_or(Failure::new(format_args!("{address} is not mapped")))?
            .address
            .frame();
        expect_eq!(
            "a word of the frame",
            proof::read_frame(machine, frame),
            mark
        );
    }
    proof::expect_fault(area.guard_page(), PageFaultError::empty())
}

struct Vmalloc<'m> {
    machine: &'m mut Machine,
    bytes: u64,
    area: Option<Result<Area, VmallocError>>,
}

impl Case for Vmalloc<'_> {
    fn operation(&mut self) {
        self.area = Some(
            self.machine
                .vmalloc
                .vmalloc(self.bytes, &mut self.machine.kernel),
        );
    }

    fn verify(&mut self) -> Result<(), Failure> {
        match &self.area {
            Some(Ok(area)) => expect_usable(self.machine, area),
            // `restore` tells the error.
            Some(Err(_)) => Ok(()),
            None => Err(Failure::new(format_args!("no area was asked for"))),
        }
    }

    fn restore(&mut self) -> Result<(), Failure> {
        if let Some(area) = self.area.take() {
            self.machine
                .vmalloc
                .vfree(area?, &mut self.machine.kernel)?;
        }
        Ok(())
    }
}

struct Vfree<'m> {
    machine: &'m mut Machine,
    bytes: u64,
    start: VirtAddr,
    free_before: u64,
    area: Option<Area>,
    outcome: Result<(), VfreeError>,
}

impl Case for Vfree<'_> {
    fn prepare(&mut self) -> Result<(), Failure> {
        let kernel = &self.machine.kernel;
        self.free_before = kernel.free_frames() + kernel.table_frames();
        let area = self
            .machine
            .vmalloc
            .vmalloc(self.bytes, &mut self.machine.kernel)?;
        self.start = area.start();
        // A translation that the operation has to drop.
        proof::read(self.start)?;
        self.area = Some(area);
        Ok(())
    }

    fn operation(&mut self) {
        if let Some(area) = self.area.take() {
            self.outcome = self.machine.vmalloc.vfree(area, &mut self.machine.kernel);
        }
    }

    fn verify(&mut self) -> Result<(), Failure> {
        // The addresses may wait for their flush.
        self.machine.vmalloc.purge(&self.machine.kernel);
        for offset in (0..self.bytes).step_by(PAGE_SIZE as usize) {
            proof::expect_fault(VirtAddr(self.start.0 + offset), PageFaultError::empty())?;
        }
        let kernel = &self.machine.kernel;
        expect_eq!(
            "frames after vfree",
            kernel.free_frames() + kernel.table_frames(),
            self.free_before
        );
        let (address, kernel) = (self.start, &mut self.machine.kernel);
        let again = self.machine.vmalloc.vfree_at(address, kernel);
        expect_eq!("a second vfree", again, Err(VfreeError::NoArea { address }));
        Ok(())
    }

    fn restore(&mut self) -> Result<(), Failure> {
        Ok(self.outcome?)
    }
}

pub(super) fn run(machine: &mut Machine, run: &mut Run) {
    for (bytes, alloc, free) in [
        (4 << 10, "vmalloc/alloc/size=4KiB", "vmalloc/free/size=4KiB"),
        (
            64 << 10,
            "vmalloc/alloc/size=64KiB",
            "vmalloc/free/size=64KiB",
        ),
        (1 << 20, "vmalloc/alloc/size=1MiB", "vmalloc/free/size=1MiB"),
        (
            16 << 20,
            "vmalloc/alloc/size=16MiB",
            "vmalloc/free/size=16MiB",
        ),
    ] {
        run.measure(
            alloc,
            &mut Vmalloc {
                machine,
                bytes,
                area: None,
            },
        );
        let start = VirtAddr(0);
        let mut case = Vfree {
            machine,
            bytes,
            start,
            free_before: 0,
            area: None,
            outcome: Ok(()),
        };
        run.measure(free, &mut case);
    }
}
