//! How an address space comes to what is mapped after it was made: by one page fault, or by none.

use super::{passed, pvh};

#[test]
fn lazy_propagation_takes_one_page_fault_and_preallocation_none() {
    let log = passed(&pvh(&["suite=quick", "only=space/*"]));
    let checks: Vec<_> = log.checks.iter().map(|check| &check.name[..]).collect();
    for check in ["space/lazy", "space/lazy_in_handler", "space/preallocated"] {
        assert!(checks.contains(&check), "{checks:?}");
    }
    assert_eq!(log.results.len(), 3);
}

#[test]
fn with_every_entry_there_from_the_start_no_space_misses_one() {
    for layout in ["wide", "wide5"] {
        let log = passed(&pvh(&[
            "suite=quick",
            "only=space/*",
            "propagation=preallocated",
            &format!("layout={layout}"),
        ]));
        let message = log.notices.iter().any(|notice| {
            notice.contains("191 tables of 764 KiB preallocated for the vmalloc region")
        });
        assert!(message, "{:?}", log.notices);
    }
}
