//! The figures that most people look for, in a few lines: what a flush, a fault, a mapping, a frame and an area cost here.

use comfy_table::Cell;
use pagemark_record::CaseResult;

use super::words;
use crate::log::Log;
use crate::style::{Look, figure, indented, resolved};

/// A line: what it is, and for each of its figures the cases that have it, the first that a log has.
struct Line {
    what: &'static str,
    figures: &'static [&'static [&'static str]],
}

const LINES: [Line; 13] = [
    Line {
        what: "INVLPG",
        figures: &[&["tlb/invlpg"]],
    },
    Line {
        what: "full flush; global pages, too",
        figures: &[&["tlb/cr3_reload"], &["tlb/pge_toggle"]],
    },
    Line {
        what: "page fault, there and back",
        figures: &[&["fault/round_trip"]],
    },
    Line {
        what: "map 1 page; 512",
        figures: &[&["pt/map/pages=1"], &["pt/map/pages=512"]],
    },
    Line {
        what: "unmap 1 page; 512",
        figures: &[&["pt/unmap/pages=1"], &["pt/unmap/pages=512"]],
    },
    Line {
        what: "protect 1 page; 512",
        figures: &[&["pt/protect/pages=1"], &["pt/protect/pages=512"]],
    },
    Line {
        what: "take a frame; give it back",
        figures: &[
            &["buddy/alloc/order=0/batched", "buddy/alloc/order=0"],
            &["buddy/free/order=0/batched", "buddy/free/order=0"],
        ],
    },
    Line {
        what: "take 2 MiB; give it back",
        figures: &[&["buddy/alloc/order=9"], &["buddy/free/order=9"]],
    },
    Line {
        what: "vmalloc 4 KiB; vfree",
        figures: &[&["vmalloc/alloc/size=4KiB"], &["vmalloc/free/size=4KiB"]],
    },
    Line {
        what: "vmalloc 1 MiB; vfree",
        figures: &[&["vmalloc/alloc/size=1MiB"], &["vmalloc/free/size=1MiB"]],
    },
    Line {
        what: "IPI, there and back",
        figures: &[&["ipi/round_trip/state=spinning"]],
    },
    Line {
        what: "IPI to a halted CPU",
        figures: &[&["ipi/round_trip/state=halted"]],
    },
    Line {
        what: "shootdown of 1 page on 1 CPU",
        figures: &[&["shootdown/*/pages=1/responders=1/state=spinning/policy=*"]],
    },
];

/// A line of the summary of a log.
pub struct Row {
    /// What it is.
    pub what: &'static str,
    /// The figures, in the log's unit.
    pub figures: String,
    /// The same as times; none where no case of the log has one.
    pub ns: Option<String>,
}

/// The lines whose cases a log has.
pub fn rows(log: &Log) -> Vec<Row> {
    let with_ns = log.results.iter().any(|result| result.ns.is_some());
    let row = |line: &Line| {
        let found: Option<Vec<&CaseResult<String>>> = line
            .figures
            .iter()
            .map(|names| names.iter().find_map(|name| result(log, name)))
            .collect();
        let found = found?;
        let joined = |of: &dyn Fn(&CaseResult<String>) -> Option<String>| {
            let figures = found
                .iter()
                .map(|result| of(result).unwrap_or("-".to_owned()));
            figures.collect::<Vec<_>>().join("; ")
        };
        Some(Row {
            what: line.what,
            figures: joined(&|result| Some(resolved(result, result.median))),
            ns: with_ns.then(|| joined(&nanoseconds)),
        })
    };
    LINES.iter().filter_map(row).collect()
}

/// The summary's table; none of a log without any of its cases.
pub fn table(log: &Log, look: Look) -> Option<String> {
    let unit = log.unit().map_or("", words);
    let rows = rows(log);
    let mut table = look.table();
    let mut header = vec!["", unit];
    header.extend(rows.first()?.ns.as_ref().map(|_| "ns"));
    look.header(&mut table, &header);
    for row in rows {
        let mut cells = vec![Cell::new(row.what), Cell::new(row.figures)];
        cells.extend(row.ns.map(Cell::new));
        table.add_row(cells);
    }
    Some(indented(&table, super::INDENT))
}

/// The median as a time; none where its ticks say only how little they are.
fn nanoseconds(result: &CaseResult<String>) -> Option<String> {
    let below = result.is_below_resolution(result.median);
    result.ns.filter(|_| !below).map(figure)
}

/// The result of the first case whose name matches.
fn result<'a>(log: &'a Log, name: &str) -> Option<&'a CaseResult<String>> {
    let mut results = log.results.iter();
    results.find(|result| crate::glob::matches(name, &result.case))
}
