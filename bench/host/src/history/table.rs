//! The changes of each machine as a table.

use std::collections::BTreeMap;

use super::{History, changes};
use crate::log::Log;
use crate::style::{Look, counted, indented, number};

/// The cases that the newest log lacks and an earlier one has, each with the last log that has it.
fn lost<'a>(history: &History<'a>) -> BTreeMap<&'a str, &'a Log> {
    let mut last: BTreeMap<&str, &Log> = BTreeMap::new();
    for log in &history.logs {
        last.extend(
            log.results
                .iter()
                .map(|result| (result.case.as_str(), *log)),
        );
    }
    if let Some(newest) = history.logs.last() {
        for result in &newest.results {
            last.remove(result.case.as_str());
        }
    }
    last
}

/// The changes of each machine as a table.
pub fn render(histories: &[History<'_>], look: Look) -> String {
    let told: Vec<String> = histories
        .iter()
        .map(|history| render_one(history, look))
        .collect();
    told.join("\n")
}

fn render_one(history: &History<'_>, look: Look) -> String {
    let changes = changes(history);
    let mut text = format!("{}\n\n", look.bold(&history.machine));
    if !changes.is_empty() {
        let mut table = look.table();
        look.header(
            &mut table,
            &[
                "case",
                "before",
                "after",
                "per cent",
                "95 % from",
                "to",
                "date",
                "revision",
                "log",
            ],
        );
        let share = |share: f64| format!("{:+.2} %", share * 100.0);
        for change in &changes {
            let [low, high] = change
                .interval
                .map_or_else(Default::default, |bounds| bounds.map(share));
            table.add_row([
                change.case.clone(),
                number(change.before),
                number(change.after),
                share(change.rise()),
                low,
                high,
                change.date.clone(),
                change.revision.clone(),
                change.file.clone(),
            ]);
        }
        text += &(indented(&table, 2) + "\n");
    }
    for (case, log) in lost(history) {
        text += &format!(
            "  {case} was last in {} ({})\n",
            log.origin.name(),
            log.origin.date_shown()
        );
    }
    let (first, newest) = (history.logs.first(), history.logs.last());
    text += &format!(
        "  {} in {}",
        counted(changes.len(), "change"),
        counted(history.logs.len(), "log")
    );
    if let (Some(first), Some(newest)) = (first, newest) {
        text += &format!(
            ", {} to {}; the newest is {} of revision {}",
            first.origin.date_shown(),
            newest.origin.date_shown(),
            newest.origin.name(),
            newest.start.revision
        );
    }
    text + "\n"
}
