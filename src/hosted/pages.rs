//! Pages of the process for an area: a case that has to access an area directly, as a user of vmalloc does, cannot do so at an address
//! that only the suite's own tables map. It gets pages of the process of the same number and size.
//!
//! They serve the next area that starts at the same address, until they are taken back.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use super::arena::{HUGE, Mapping, Pages};
use super::walk::{Access, walker};
use crate::mm::address::{PageSize, VirtAddr};
use crate::mm::vmalloc::Area;

/// By the area's first address, and the kind of pages.
static MAPPINGS: Mutex<BTreeMap<(u64, bool), Mapping>> = Mutex::new(BTreeMap::new());

/// Mappings of 2 MiB pages that no area has.
static SPARE: Mutex<Vec<Mapping>> = Mutex::new(Vec::new());
/// The kernel has refused 2 MiB pages.
static NO_MORE: AtomicBool = AtomicBool::new(false);

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
        let mapping = match huge {
            true => huge_mapping(area.bytes())?,
            false => {
                let mapping = Mapping::new(area.bytes(), Pages::Small);
                let mapping =
                    mapping.map_err(|_| "the kernel has no memory for the pages of an area")?;
                mapping.populate_at_random();
                mapping
            }
        };
        // One that is too small stays where it is: somebody may still look at it.
        mappings.insert(key, mapping);
    }
    Ok(mappings[&key].start())
}

/// One of 2 MiB pages: a spare one, or a new one. A kernel that has refused one is not asked again: a case that was skipped has no result.
fn huge_mapping(bytes: u64) -> Result<Mapping, &'static str> {
    const REFUSED: Result<Mapping, &str> = Err("the kernel has no 2 MiB pages for a process");
    let mut spare = SPARE.lock().unwrap_or_else(|error| error.into_inner());
    let bytes = bytes.next_multiple_of(HUGE);
    if let Some(place) = spare.iter().position(|mapping| mapping.bytes() == bytes) {
        return Ok(spare.swap_remove(place));
    }
    if NO_MORE.load(Relaxed) {
        return REFUSED;
    }
    let Ok(mapping) = Mapping::new(bytes, Pages::Huge) else {
        NO_MORE.store(true, Relaxed);
        return REFUSED;
    };
    mapping.populate(0..mapping.bytes());
    if mapping.huge_bytes() < mapping.bytes() {
        // What was touched while no 2 MiB were free in one piece is put together now.
        mapping.collapse();
    }
    if mapping.huge_bytes() < mapping.bytes() {
        NO_MORE.store(true, Relaxed);
        return REFUSED;
    }
    Ok(mapping)
}

/// Takes back all pages that areas have got: those of 4 KiB of the next ones lie elsewhere in physical memory, and those of 2 MiB serve
/// again.
///
/// # Safety
///
/// Nobody looks at them any more.
pub unsafe fn take_back() {
    let mut mappings = MAPPINGS.lock().unwrap_or_else(|error| error.into_inner());
    let mut spare = SPARE.lock().unwrap_or_else(|error| error.into_inner());
    for ((_, huge), mapping) in std::mem::take(&mut *mappings) {
        match huge {
            true => spare.push(mapping),
            // SAFETY: the caller's promise.
            false => unsafe { mapping.unmap() },
        }
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
