//! Areas that stay while a shape's loop runs, remembered where the module remembers them: in an area.

use pagemark::machine::Machine;
use pagemark::mm::address::{PAGE_SIZE, VirtAddr};
use pagemark::mm::vmalloc::Area;

use crate::harness::case::Failure;

/// Areas of one page.
pub(super) struct Live {
    /// Their addresses.
    addresses: Area,
    count: u64,
}

impl Live {
    /// Frames that this number of areas takes at the most, with holes between them, and some to spare for tables and watermarks.
    pub(super) const fn frames(count: u64) -> u64 {
        3 * count
    }

    /// Pages of addresses that this number of areas takes at the most, guard pages and holes among them, and what is measured beside them.
    pub(super) const fn pages(count: u64) -> u64 {
        4 * count + 1024
    }

    /// `count` areas side by side.
    pub(super) fn side_by_side(machine: &mut Machine, count: u64) -> Result<Live, Failure> {
        let mut live = Live::none(machine, count)?;
        let outcome = (0..count).try_for_each(|_| live.add(machine));
        live.or_free(machine, outcome)
    }

    /// `count` areas with a hole of the same size behind each.
    pub(super) fn with_holes(machine: &mut Machine, count: u64) -> Result<Live, Failure> {
        let mut live = Live::none(machine, count)?;
        let mut junk = match Live::none(machine, count) {
            Ok(junk) => junk,
            Err(error) => return live.or_free(machine, Err(error)),
        };
        let mut outcome = (0..count).try_for_each(|_| {
            live.add(machine)?;
            junk.add(machine)
        });
        outcome = outcome.and(junk.free(machine));
        live.or_free(machine, outcome)
    }

    fn none(machine: &mut Machine, count: u64) -> Result<Live, Failure> {
        let bytes = (count * size_of::<VirtAddr>() as u64).max(PAGE_SIZE);
        Ok(Live {
            addresses: machine.vmalloc.vmalloc(bytes, &mut machine.kernel)?,
            count: 0,
        })
    }

    /// Where the address of an area is remembered.
    const fn place(&self, index: u64) -> *mut VirtAddr {
        (self.addresses.start().0 as *mut VirtAddr).wrapping_add(index as usize)
    }

    /// Takes one more, of those that there is room for.
    fn add(&mut self, machine: &mut Machine) -> Result<(), Failure> {
        let area = machine.vmalloc.vmalloc(PAGE_SIZE, &mut machine.kernel)?;
        // SAFETY: the area of addresses is ours, and has room for as many as were announced.
        unsafe { self.place(self.count).write(area.into_raw()) };
        self.count += 1;
        Ok(())
    }

    fn or_free(self, machine: &mut Machine, outcome: Result<(), Failure>) -> Result<Live, Failure> {
        match outcome {
            Ok(()) => Ok(self),
            Err(failure) => {
                self.free(machine)?;
                Err(failure)
            }
        }
    }

    /// Frees all of them.
    pub(super) fn free(self, machine: &mut Machine) -> Result<(), Failure> {
        for index in 0..self.count {
            // SAFETY: written by `add`.
            let address = unsafe { self.place(index).read() };
            machine.vmalloc.vfree_at(address, &mut machine.kernel)?;
        }
        Ok(machine.vmalloc.vfree(self.addresses, &mut machine.kernel)?)
    }
}
