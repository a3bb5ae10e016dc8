//! What must hold of the machine's mappings: before anything is measured on them, and after the last case.

use pagemark::cpu::probe::PageFaultError;
use pagemark::cpu::{five_levels, pat, stacks};
use pagemark::machine::{Machine, image};
use pagemark::mm::address::VirtAddr;
use pagemark::mm::kernel_map::{Audit, writable_code};
use pagemark::mm::page_table::MemoryType;

use crate::cases::proof;
use crate::harness::case::{Failure, expect_eq};
use crate::harness::run::Run;

/// A function that does nothing, as data: RET.
static RET: [u8; 8] = [0xc3; 8];

/// The checks before the first sample.
pub fn run(machine: &Machine, run: &mut Run) {
    let absent = PageFaultError::empty();
    run.check("map/null_faults", proof::expect_fault(VirtAddr(0), absent));
    run.check(
        "map/identity_is_gone",
        proof::expect_fault(VirtAddr(0x10_0000), absent),
    );
    run.check(
        "map/hole_behind_the_direct_map",
        proof::expect_fault(machine.layout.high_memory(), absent),
    );
    for stack in stacks::of_boot_cpu() {
        let guard = proof::expect_fault(VirtAddr(stack.range.start.0 - 8), absent);
        run.check(format_args!("map/guard_page/stack={}", stack.name), guard);
    }
    // SAFETY: if the text can be written to after all, the image is lost, and the check says so no more; the bytes written
    // are those of the entry code, which does not run again.
    run.check("map/text_is_read_only", unsafe {
        proof::expect_write_fault(image::text())
    });
    let ret = VirtAddr(&raw const RET as u64);
    // SAFETY: a RET lies there.
    run.check("map/constants_are_not_executable", unsafe {
        proof::expect_fetch_fault(ret)
    });
    // SAFETY: nothing ever reads the array as bytes.
    run.check("map/constants_are_read_only", unsafe {
        proof::expect_write_fault(ret)
    });
    run.check("map/audit", audit(machine));
    run.check("map/memory_types", memory_types());
}

/// The check after the last case: no frame is writable at one address and executable at another, whatever the cases loaded and
/// freed. It takes two walks over all leaves, which the time from entry to the first sample has no room for.
pub fn run_at_end(machine: &Machine, run: &mut Run) {
    let found = writable_code(&machine.kernel.table);
    let outcome = match found {
        None => Ok(()),
        Some(address) => Err(Failure::new(format_args!(
            "{address} is writable, and its frame is executable elsewhere"
        ))),
    };
    run.check("map/code_is_read_only", outcome);
}

/// The CPU reads the memory types of leaves as they were meant.
fn memory_types() -> Result<(), Failure> {
    // SAFETY: a CPU without PAT does not come this far.
    let table = unsafe { pat::read() };
    expect_eq!("IA32_PAT", table, MemoryType::PAT);
    Ok(())
}

/// The CPU walks as many levels as the layout has. Every leaf of the live table: nothing writable and executable, nothing in the
/// lower half, and text that maps to itself in the direct map.
fn audit(machine: &Machine) -> Result<(), Failure> {
    let five = machine.layout.virtual_bits == 57;
    expect_eq!("five levels of tables", five_levels::active(), five);
    let audit = Audit::of(&machine.kernel.table);
    expect_eq!(
        "a writable and executable page",
        audit.writable_executable,
        None
    );
    expect_eq!("a page in the lower half", audit.lower_half, None);
    let text = machine.kernel.table.translate(image::text());
    let frame = text
        .ok_or(Failure::new(format_args!("the text is not mapped")))?
        .address
        .frame();
    let [here, there] = [image::text(), machine.frame_address(frame)].map(proof::read);
    expect_eq!("the text through the direct map", there?, here?);
    Ok(())
}
