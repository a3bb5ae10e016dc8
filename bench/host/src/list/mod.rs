//! Every case with where its source is, what one sample does, its class and its policy.
//!
//! [`source`] finds the line where a case gets its name, in the checkout around the working folder; without one the file is named.

mod source;

use pagemark_record::Class;

use crate::checkout;
use crate::glob::Globs;
use crate::style::{Look, counted, indented};
use source::Sources;

/// Beginnings of names, with the source and what one sample does. The first that fits a name serves.
const KINDS: [(&str, &str, &str); 24] = [
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
    (
        "assist",
        "bench/cases/assist.rs",
        "the first use of a page, for which the CPU sets a bit",
    ),
    (
        "frame",
        "bench/cases/contents.rs",
        "clears, copies or writes back a frame",
    ),
    ("access", "bench/cases/access.rs", "loads, one a page"),
    (
        "entry",
        "bench/cases/entry.rs",
        "from the kernel to ring 3 and back",
    ),
    (
        "sibling",
        "bench/cases/shootdown/sibling.rs",
        "loads of the other thread of the core",
    ),
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
const POLICIES: [&str; 15] = [
    "descriptor",
    "pair_bit",
    "batched",
    "hot_cold",
    "cache=none",
    "tree",
    "list",
    "instant_fit",
    "by_page",
    "whole",
    "eager",
    "propagation=lazy",
    "propagation=preallocated",
    "pcid",
    "no_pcid",
];

/// A case as it is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// Its name.
    pub name: String,
    /// What its figures are; a baseline file does not say.
    pub class: Option<Class>,
}

/// The cases that `only` admits, as a table.
pub fn render(cases: &[Case], only: &Globs, look: Look) -> String {
    let sources = checkout::root().ok().map(Sources::new);
    let classed = cases.iter().any(|case| case.class.is_some());
    let mut header = vec!["case", "policy", "source", "one sample"];
    if classed {
        header.insert(1, "class");
    }
    let mut table = look.table();
    look.header(&mut table, &header);
    for column in table.column_iter_mut() {
        column.set_cell_alignment(comfy_table::CellAlignment::Left);
    }
    let admitted: Vec<&Case> = cases.iter().filter(|case| only.admit(&case.name)).collect();
    for case in &admitted {
        let name = case.name.as_str();
        let last = name.rsplit('/').next();
        let policy = last.filter(|last| POLICIES.contains(last));
        let kind = KINDS.iter().find(|(beginning, ..)| {
            name.strip_prefix(beginning)
                .is_some_and(|rest| rest.starts_with('/'))
        });
        let (_, file, sample) = kind.copied().unwrap_or(("", "-", "-"));
        let place = sources
            .as_ref()
            .and_then(|sources| sources.place(file, name));
        let place = place.unwrap_or_else(|| file.to_owned());
        let mut cells = vec![name, policy.unwrap_or(""), &place, sample];
        if classed {
            cells.insert(1, case.class.map_or("", Class::as_str));
        }
        table.add_row(cells);
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
        let cases = baseline
            .cases
            .into_keys()
            .map(|name| Case { name, class: None });
        let cases: Vec<Case> = cases.collect();
        let text = render(&cases, &Globs::default(), Look::Plain);
        assert!(!text.contains(" - "), "{text}");
        for (_, source, _) in KINDS {
            assert!(root.join(source).exists(), "{source}");
        }
        assert!(
            text.contains("vmalloc/alloc/live=0/tree") && text.contains("  tree  "),
            "{text}"
        );
        // Every line is found, and has a part of the name.
        for (case, line) in cases.iter().zip(text.lines().skip(2)) {
            let place = line
                .split_whitespace()
                .find(|word| word.starts_with("bench/"))
                .unwrap();
            let (file, number) = place
                .rsplit_once(':')
                .unwrap_or_else(|| panic!("no line of {}: {place}", case.name));
            let source = std::fs::read_to_string(root.join(file)).unwrap();
            let line = source
                .lines()
                .nth(number.parse::<usize>().unwrap() - 1)
                .unwrap();
            let part = case.name.split('/').any(|part| line.contains(part));
            assert!(part && line.contains('"'), "{}: {place}: {line}", case.name);
        }
    }
}
