//! What must hold of page tables that are not in use: none is lost, and those that are kept for the next use are full of zeros.

use pagemark::machine::Machine;

use crate::harness::case::Failure;

/// As many tables as before are neither in the kernel's page table nor in the cache: nobody took one and lost it, and nobody gave
/// one back that is still in use.
pub fn all_returned(machine: &Machine, elsewhere: i64) -> Result<(), Failure> {
    let found = machine.kernel.tables_elsewhere();
    if found == elsewhere {
        return Ok(());
    }
    let in_use = machine.kernel.table.count_tables();
    let cached = machine.kernel.cached_tables();
    Err(Failure::new(format_args!(
        "{} tables lost: {in_use}, {cached} cached, {} taken in all",
        found.wrapping_sub(elsewhere),
        machine.kernel.table_frames(),
    )))
}

/// Every table in the cache is full of zeros.
pub fn cached_are_zero(machine: &Machine) -> Result<(), Failure> {
    machine.kernel.validate_cached_tables()?;
    Ok(())
}
