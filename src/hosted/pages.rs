//! Pages of the process for an area: a case that has to access an area directly, as a user of vmalloc does, cannot do so at an address
//! that only the suite's own tables map. It gets pages of the process of the same number and size.
//!
//! They serve the next area that starts at the same address, until they are taken back.

use std::collections::BTreeMap;
use std::sync::Mutex;

use super::arena::{Mapping, Pages};
use super::walk::{Access, walker};
use crate::mm::address::{PageSize, VirtAddr};
use crate::mm::vmalloc::Area;

/// By the area's first address, and the kind of pages.
static MAPPINGS: Mutex<BTreeMap<(u64, bool), Mapping>> = Mutex::new(BTreeMap::new());

/// The first of the pages for an area, which are as many as it has, and of the size of its first leaf. Their contents are those of the
/// area that had them before, or zeros.
///
/// # Errors
///
/// The kernel has no memory, or no 2 MiB pages.
pub fn of_area(area: &Area) -> Result<VirtAddr, &'static str> {
    let leaf = walker().walk(area.start(), Access::Read);
    let huge = leaf.is_ok_and(|leaf| leaf.size != PageSize::Size4K);
    let mut mappings = MAPPINGS.lock().unwrap_or_else(|error| error.into_inner());
    let key = (area.start().0, huge);
    let fits = mappings
        .get(&key)
        .is_some_and(|mapping| mapping.bytes() >= area.bytes());
    if !fits {
        let pages = if huge { Pages::Huge } else { Pages::Small };
        let mapping = Mapping::new(area.bytes(), pages)
            .map_err(|_| "the kernel has no memory for the pages of an area")?;
        if !huge {
            mapping.populate_at_random();
        } else {
            mapping.populate(0..mapping.bytes());
            if mapping.huge_bytes() < mapping.bytes() {
                return Err("the kernel has no 2 MiB pages for a process");
            }
        }
        // One that is too small stays where it is: somebody may still look at it.
        mappings.insert(key, mapping);
    }
    Ok(mappings[&key].start())
}

/// Takes back all pages of 4 KiB that areas have got, so that those of the next ones lie elsewhere in physical memory.
///
/// # Safety
///
/// Nobody looks at them any more.
pub unsafe fn take_back() {
    let mut mappings = MAPPINGS.lock().unwrap_or_else(|error| error.into_inner());
    for (_, mapping) in mappings.extract_if(.., |&(_, huge), _| !huge) {
        // SAFETY: the caller's promise.
        unsafe { mapping.unmap() };
    }
}

/// Whether `address` lies in pages that an area has got.
#[must_use]
pub fn contain(address: VirtAddr) -> bool {
    let mappings = MAPPINGS.lock().unwrap_or_else(|error| error.into_inner());
    mappings.values().any(|mapping| {
        let start = mapping.start().0;
        (start..start + mapping.bytes()).contains(&address.0)
    })
}
