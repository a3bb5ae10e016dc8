//! The stacks: those of the boot CPU by the symbols of `linker.ld`, those of the others in the vmalloc region. Below each lies a
//! guard page that is never mapped: a stack that grows too far faults instead of writing over what lies there.

use core::ops::Range;

use crate::mm::address::{PAGE_SIZE, VirtAddr};

unsafe extern "C" {
    static main_stack: u8;
    static main_stack_top: u8;
    static nmi_stack: u8;
    static nmi_stack_top: u8;
    static double_fault_stack: u8;
    static double_fault_stack_top: u8;
    static machine_check_stack: u8;
    static machine_check_stack_top: u8;
}

/// One stack.
#[derive(Clone, Debug)]
pub struct Stack {
    /// What runs on it.
    pub name: &'static str,
    /// Its addresses, the guard page left out.
    pub range: Range<VirtAddr>,
}

impl Stack {
    /// The addresses of its guard page.
    #[must_use]
    pub const fn guard_page(&self) -> Range<VirtAddr> {
        VirtAddr(self.range.start.0 - PAGE_SIZE)..self.range.start
    }
}

/// The stacks of the boot CPU: the main one, and those of the exceptions that have their own, as the interrupt stack table
/// numbers them.
#[must_use]
pub fn of_boot_cpu() -> [Stack; 4] {
    let stack = |name, bottom: *const u8, top: *const u8| Stack {
        name,
        range: VirtAddr(bottom as u64)..VirtAddr(top as u64),
    };
    [
        stack("main", &raw const main_stack, &raw const main_stack_top),
        stack("nmi", &raw const nmi_stack, &raw const nmi_stack_top),
        stack(
            "double_fault",
            &raw const double_fault_stack,
            &raw const double_fault_stack_top,
        ),
        stack(
            "machine_check",
            &raw const machine_check_stack,
            &raw const machine_check_stack_top,
        ),
    ]
}

/// The stacks of another CPU, with these addresses.
#[must_use]
pub fn of_started_cpu(ranges: [Range<VirtAddr>; 4]) -> [Stack; 4] {
    let mut stacks = of_boot_cpu();
    for (stack, range) in stacks.iter_mut().zip(ranges) {
        stack.range = range;
    }
    stacks
}
