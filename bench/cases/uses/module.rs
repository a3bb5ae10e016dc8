//! A module: code that is written to an area while it is data, made executable and read-only, called, and unloaded. At no
//! time can it be written and executed at once (W^X).

use pagemark::cpu::probe::PageFaultError;
use pagemark::machine::{Machine, WITHOUT_RING_0};
use pagemark::mm::address::{PAGE_SIZE, VirtAddr};
use pagemark::mm::page_table::Protection;
use pagemark::mm::vmalloc::{Area, ProtectError, VfreeError, VmallocError};

use super::ACCESSES_ITS_AREA;
use crate::cases::proof;
use crate::harness::case::{Case, Failure, expect_eq};
use crate::harness::run::Run;

/// Pages of the module: a small driver's.
const BYTES: u64 = 16 * PAGE_SIZE;
/// `lea rax, [rdi + rdi]; ret`: twice its argument.
const CODE: [u8; 5] = [0x48, 0x8d, 0x04, 0x3f, 0xc3];

/// What went wrong inside the bracket.
#[derive(Clone, Copy)]
enum Refused {
    Vmalloc(VmallocError),
    Protect(ProtectError),
}

/// Copies the code, makes it executable and calls it: the area and what the call returned for 21.
fn load(machine: &mut Machine) -> Result<(Area, u64), Refused> {
    let kernel = &mut machine.kernel;
    let area = machine
        .vmalloc
        .vmalloc(BYTES, kernel)
        .map_err(Refused::Vmalloc)?;
    let start = area.start();
    // The area is data up to here, and code from here on: x86 keeps both views coherent on the CPU that wrote it.
    // SAFETY: the area is ours, writable, and larger than the code.
    unsafe { (start.0 as *mut [u8; CODE.len()]).write_volatile(CODE) };
    // The last page is the module's constants: nothing is fetched from there, so that only a flush takes the right to write to it out
    // of the TLB.
    // SAFETY: as above.
    unsafe { ((start.0 + BYTES - PAGE_SIZE) as *mut u64).write_volatile(0) };
    if let Err(error) = machine
        .vmalloc
        .protect(start, Protection::READ_EXECUTE, kernel)
    {
        // The first error is the one to report.
        let _ = machine.vmalloc.vfree(area, kernel);
        return Err(Refused::Protect(error));
    }
    // SAFETY: a function of this type lies there, in pages that can be executed.
    let twice: extern "sysv64" fn(u64) -> u64 = unsafe { core::mem::transmute(start.0) };
    Ok((area, twice(21)))
}

struct Load<'m> {
    machine: &'m mut Machine,
    loaded: Option<Result<(Area, u64), Refused>>,
}

impl Case for Load<'_> {
    fn operation(&mut self) {
        self.loaded = Some(load(self.machine));
    }

    fn verify(&mut self) -> Result<(), Failure> {
        let Some(Ok((area, result))) = &self.loaded else {
            return Err(Failure::new(format_args!("no module was loaded")));
        };
        expect_eq!("what the module's function returns", *result, 42);
        for page in [0, BYTES - PAGE_SIZE] {
            // SAFETY: if it can be written to after all, the module is ours.
            unsafe { proof::expect_write_fault(VirtAddr(area.start().0 + page))? };
        }
        Ok(())
    }

    fn restore(&mut self) -> Result<(), Failure> {
        match self.loaded.take() {
            Some(Ok((area, _))) => {
                Ok(self.machine.vmalloc.vfree(area, &mut self.machine.kernel)?)
            }
            Some(Err(Refused::Vmalloc(error))) => Err(error.into()),
            Some(Err(Refused::Protect(error))) => Err(error.into()),
            None => Ok(()),
        }
    }
}

struct Unload<'m> {
    machine: &'m mut Machine,
    area: Option<Area>,
    start: VirtAddr,
    outcome: Result<(), VfreeError>,
}

impl Case for Unload<'_> {
    fn prepare(&mut self) -> Result<(), Failure> {
        let (area, _) = load(self.machine).map_err(|refused| match refused {
            Refused::Vmalloc(error) => Failure::from(error),
            Refused::Protect(error) => error.into(),
        })?;
        self.start = area.start();
        self.area = Some(area);
        Ok(())
    }

    fn operation(&mut self) {
        if let Some(area) = self.area.take() {
            self.outcome = self.machine.vmalloc.vfree(area, &mut self.machine.kernel);
        }
    }

    fn verify(&mut self) -> Result<(), Failure> {
        let translation = self.machine.kernel.table.translate(self.start);
        expect_eq!("the module in the page table", translation, None);
        // Where freeing is lazy, a TLB may have the code until then.
        self.machine.vmalloc.purge(&self.machine.kernel);
        proof::expect_fault(self.start, PageFaultError::empty())
    }

    fn restore(&mut self) -> Result<(), Failure> {
        // Left out of the operation, the module is still there.
        self.operation();
        Ok(self.outcome?)
    }
}

const LOAD: &str = "module/load/size=64KiB";
const UNLOAD: &str = "module/unload/size=64KiB";

pub(super) fn run(machine: &mut Machine, run: &mut Run) {
    if WITHOUT_RING_0.is_some() {
        run.skip(LOAD, ACCESSES_ITS_AREA);
        run.skip(UNLOAD, ACCESSES_ITS_AREA);
        return;
    }
    let mut case = Load {
        machine,
        loaded: None,
    };
    run.measure(LOAD, &mut case);
    let mut case = Unload {
        machine,
        area: None,
        start: VirtAddr(0),
        outcome: Ok(()),
    };
    run.measure(UNLOAD, &mut case);
}
