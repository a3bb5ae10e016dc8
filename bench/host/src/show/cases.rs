//! The table of the cases.

use comfy_table::{Attribute, Cell, Table};
use pagemark_record::{CaseResult, Class, Clock, Figure};

use super::{Detail, INDENT, Sort, words};
use crate::log::Log;
use crate::style::{Look, figure, indented, resolved, thousands};

/// The cases whose names have their first part in common.
struct Group<'a> {
    name: &'a str,
    /// The rest of each name.
    cases: Vec<(&'a str, &'a CaseResult<String>)>,
}

/// The results by the first part of their names, both in the log's order.
fn groups(log: &Log) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for result in &log.results {
        let (name, rest) = result
            .case
            .split_once('/')
            .unwrap_or(("other", &result.case));
        match groups.iter_mut().find(|group| group.name == name) {
            Some(group) => group.cases.push((rest, result)),
            None => groups.push(Group {
                name,
                cases: vec![(rest, result)],
            }),
        }
    }
    groups
}

/// All columns, from left to right.
const COLUMNS: [&str; 11] = [
    "class",
    "samples",
    "resolution",
    "min",
    "median",
    "p99",
    "max",
    "overhead",
    "cycles",
    "insns",
    "walks",
];
/// The columns that a narrow table goes without, the least needed first.
const LESS_NEEDED: [&str; 10] = [
    "overhead",
    "samples",
    "insns",
    "max",
    "min",
    "walks",
    "p99",
    "cycles",
    "resolution",
    "class",
];

/// The columns that say something of this log.
fn columns(log: &Log, classed: bool, counted: bool, same_overhead: bool) -> Vec<&'static str> {
    let any = |has: fn(&CaseResult<String>) -> bool| log.results.iter().any(has);
    COLUMNS
        .into_iter()
        .filter(|name| match *name {
            "class" => classed,
            "resolution" => classed && !counted,
            "overhead" => !same_overhead && !counted,
            "cycles" => any(|result| result.cycles.is_some()),
            "insns" => any(|result| result.counts.instructions.is_some()),
            "walks" => any(|result| result.counts.all_walks().is_some()),
            _ => true,
        })
        .collect()
}

/// The table of the cases. Names are never broken: where lines would be longer than `detail` allows, columns go, the least needed
/// first.
pub(super) fn results(log: &Log, look: Look, detail: &Detail) -> String {
    let unit = log.unit().map_or("", words);
    let clock = log.clock().map_or("", Clock::as_str);
    let overhead = log.results[0].overhead;
    let same = log.results.iter().all(|result| result.overhead == overhead);
    let title = format!("{unit} ({clock})");
    let classed = log.results.iter().any(|result| result.class.is_some());
    // Of instructions every count is exact.
    let counted = log.clock() == Some(Clock::Icount);
    let mut shown = columns(log, classed, counted, same);
    let mut less_needed = LESS_NEEDED.into_iter();
    loop {
        let table = results_table(log, look, detail, &title, &shown);
        let text = indented(&table, INDENT);
        let widest = text
            .lines()
            .map(|line| {
                anstream::adapter::strip_str(line)
                    .to_string()
                    .chars()
                    .count()
            })
            .max();
        let fits = detail
            .width
            .is_none_or(|width| widest.unwrap_or(0) <= usize::from(width));
        match (fits, less_needed.next()) {
            (false, Some(name)) => shown.retain(|column| *column != name),
            _ => {
                let overhead = match same && overhead != Figure::default() {
                    true => format!(
                        "\n  The empty bracket's {} {unit} are subtracted from each sample.\n",
                        figure(overhead)
                    ),
                    false => String::new(),
                };
                let exact = match classed && counted {
                    true => "\n  Counts are exact: the resolution of each is 1 instruction.\n",
                    false => "",
                };
                return text + &overhead + exact + &cycles(log, &shown);
            }
        }
    }
}

/// A line on where the column `cycles` comes from, if it is there.
fn cycles(log: &Log, shown: &[&str]) -> String {
    let found = log.environment.as_ref();
    let found = found.filter(|_| shown.contains(&"cycles"));
    let source =
        found.and_then(|found| source_of_cycles(found.counters.as_deref(), &found.core_clock));
    source.map_or_else(String::new, |source| format!("\n  Cycles are {source}.\n"))
}

/// Counted, if that is among what the counters count; else converted by the core's clock.
fn source_of_cycles(counters: Option<&str>, core_clock: &str) -> Option<&'static str> {
    let mut counted = counters.unwrap_or_default().split(' ');
    match core_clock {
        _ if counted.any(|kind| kind == "cycles") => Some("counted by the core's counters"),
        "aperf" => Some("ticks, converted by APERF and MPERF"),
        "additions" => Some("ticks, converted by the time of a chain of additions"),
        "fixed_counter" => Some("ticks, converted by the fixed counter of core cycles"),
        _ => None,
    }
}

fn results_table(log: &Log, look: Look, detail: &Detail, title: &str, shown: &[&str]) -> Table {
    let mut table = look.table();
    let header: Vec<&str> = [title].into_iter().chain(shown.iter().copied()).collect();
    look.header(&mut table, &header);
    let cells = |result: &CaseResult<String>| -> Vec<Cell> {
        let counted = |count: Option<Figure>| count.map_or_else(String::new, figure);
        let column = |name: &&str| match *name {
            "cycles" => counted(result.cycles),
            "insns" => counted(result.counts.instructions),
            "walks" => counted(result.counts.all_walks()),
            "samples" => thousands(result.samples),
            "class" => result.class.map_or("", Class::as_str).to_owned(),
            "resolution" => result.resolution.map_or_else(String::new, figure),
            "min" => resolved(result, result.min),
            "median" => resolved(result, result.median),
            "p99" => resolved(result, result.p99),
            "max" => resolved(result, result.max),
            _ => figure(result.overhead),
        };
        shown.iter().map(column).map(Cell::new).collect()
    };
    if detail.sort == Sort::Log {
        for Group { name, cases } in groups(log) {
            let cases: Vec<_> = cases
                .into_iter()
                .filter(|(_, result)| detail.only.admit(&result.case))
                .collect();
            if cases.is_empty() {
                continue;
            }
            table.add_row([Cell::new(name).add_attribute(Attribute::Bold)]);
            for (rest, result) in cases {
                let first = Cell::new(format!("  {rest}"));
                table.add_row([first].into_iter().chain(cells(result)));
            }
        }
        return table;
    }
    let mut results: Vec<&CaseResult<String>> = log
        .results
        .iter()
        .filter(|result| detail.only.admit(&result.case))
        .collect();
    let spread =
        |result: &CaseResult<String>| result.p99.as_f64() / result.median.as_f64().max(1.0);
    match detail.sort {
        Sort::Name | Sort::Log => results.sort_by(|a, b| a.case.cmp(&b.case)),
        Sort::Median => results.sort_by_key(|result| std::cmp::Reverse(result.median)),
        Sort::Spread => results.sort_by(|a, b| spread(b).total_cmp(&spread(a))),
    }
    for result in results {
        table.add_row([Cell::new(&result.case)].into_iter().chain(cells(result)));
    }
    table
}

#[cfg(test)]
mod tests {
    use super::source_of_cycles;

    #[test]
    fn cycles_are_counted_or_converted_or_absent() {
        let counted = source_of_cycles(Some("instructions cycles load_walks"), "aperf");
        assert_eq!(counted, Some("counted by the core's counters"));
        for counters in [
            None,
            Some("not_announced"),
            Some("instructions walk_cycles"),
        ] {
            let converted = source_of_cycles(counters, "aperf");
            assert_eq!(converted, Some("ticks, converted by APERF and MPERF"));
            assert_eq!(source_of_cycles(counters, "none"), None);
        }
    }
}
