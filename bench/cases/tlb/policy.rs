//! A flush through the policy, as the memory system makes it: what it costs beyond the instruction of `tlb/invlpg`.

use pagemark::machine::Machine;
use pagemark::mm::address::{PageSize, VirtAddr};
use pagemark::mm::tlb::PendingFlush;

use super::operations;
use crate::harness::run::Run;

const NAME: &str = "tlb/policy/pages=1";

pub(super) fn run(machine: &mut Machine, run: &mut Run) {
    let tlb = machine.kernel.tlb;
    operations::measure_global(machine, run, NAME, |page: VirtAddr| {
        PendingFlush::new(page, 1, PageSize::Size4K).flush(&tlb);
    });
}
