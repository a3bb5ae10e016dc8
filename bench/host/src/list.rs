//! Every case with where its source is, what one sample does, and its policy.

use crate::glob::Globs;
use crate::style::{Look, counted, indented};

/// Beginnings of names, with the source and what one sample does. The first that fits a name serves.
const KINDS: [(&str, &str, &str); 20] = [
    (
        "control",
        "bench/cases/control.rs",
        "nothing, or NOPs: what the clock and the bracket do",
    ),
    (
        "tlb/refill",
        "bench/cases/tlb/refill.rs",
        "flushes pages and touches them again",
    ),
    (
        "tlb/switch",
        "bench/cases/tlb/switch.rs",
        "switches the address space and touches pages",
    ),
    (
        "tlb",
        "bench/cases/tlb",
        "one TLB instruction, or the choice of it",
    ),
    (
        "pt",
        "bench/cases/page_table",
        "edits page tables, the flush included",
    ),
    (
        "buddy",
        "bench/cases/buddy",
        "takes frames, or gives them back",
    ),
    (
        "vmalloc",
        "bench/cases/vmalloc",
        "takes addresses and frames of an area, or gives them back",
    ),
    (
        "test_vmalloc",
        "bench/cases/test_vmalloc",
        "one iteration of a shape of Linux's test_vmalloc",
    ),
    (
        "swap_map",
        "bench/cases/uses/swap_map.rs",
        "the map of a swap area",
    ),
    (
        "module",
        "bench/cases/uses/module.rs",
        "code that is loaded, called and unloaded",
    ),
    ("kmap", "bench/cases/kmap.rs", "a window onto a frame"),
    (
        "fixmap",
        "bench/cases/fixmap.rs",
        "a window at a fixed address",
    ),
    (
        "direct_map",
        "bench/cases/direct_map.rs",
        "builds the direct map",
    ),
    (
        "space",
        "bench/cases/address_space.rs",
        "a root table, or the touch that brings it an entry",
    ),
    (
        "fault",
        "bench/cases/fault.rs",
        "a page fault, there and back",
    ),
    ("access", "bench/cases/access.rs", "loads, one a page"),
    (
        "ipi",
        "bench/cases/shootdown/ipi.rs",
        "an interrupt to another CPU, there and back",
    ),
    (
        "shootdown",
        "bench/cases/shootdown",
        "a flush on other CPUs",
    ),
    (
        "contended",
        "bench/cases/contended",
        "buddy and vmalloc shared by CPUs",
    ),
    ("peer", "bench/cases/peers", "another project's code"),
];
/// Last parts of names that are policies.
const POLICIES: [&str; 9] = [
    "descriptor",
    "pair_bit",
    "batched",
    "hot_cold",
    "tree",
    "list",
    "instant_fit",
    "by_page",
    "whole",
];

/// The cases that `only` admits, as a table.
pub fn render(cases: &[String], only: &Globs, look: Look) -> String {
    let mut table = look.table();
    look.header(&mut table, &["case", "policy", "source", "one sample"]);
    for column in table.column_iter_mut() {
        column.set_cell_alignment(comfy_table::CellAlignment::Left);
    }
    let admitted: Vec<&String> = cases.iter().filter(|case| only.admit(case)).collect();
    for case in &admitted {
        let policy = case
            .rsplit('/')
            .next()
            .filter(|last| POLICIES.contains(last));
        let kind = KINDS.iter().find(|(beginning, ..)| {
            case.strip_prefix(beginning)
                .is_some_and(|rest| rest.starts_with('/'))
        });
        let (_, source, sample) = kind.copied().unwrap_or(("", "-", "-"));
        table.add_row([case.as_str(), policy.unwrap_or(""), source, sample]);
    }
    indented(&table, 2) + &format!("\n  {}\n", counted(admitted.len(), "case"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_of_the_baseline_has_a_source_that_is_there() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let baseline = std::fs::read_to_string(root.join("bench/baselines/quick.txt")).unwrap();
        let baseline: crate::gate::baseline::Baseline = baseline.parse().unwrap();
        let cases: Vec<String> = baseline.cases.into_keys().collect();
        let text = render(&cases, &Globs::default(), Look::Plain);
        assert!(!text.contains(" - "), "{text}");
        for (_, source, _) in KINDS {
            assert!(root.join(source).exists(), "{source}");
        }
        assert!(
            text.contains("vmalloc/alloc/live=0/tree") && text.contains("  tree  "),
            "{text}"
        );
    }
}
