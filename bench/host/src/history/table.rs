//! The changes of each machine as a table.

use std::collections::BTreeMap;

use super::{History, Point, changes};
use crate::style::{Look, counted, indented, number};

/// The cases that the newest log lacks and an earlier one has, each with the last log that has it.
fn lost(history: &History) -> BTreeMap<&str, &Point> {
    let mut last: BTreeMap<&str, &Point> = BTreeMap::new();
    for log in &history.points {
        last.extend(log.figures.keys().map(|case| (case.as_str(), log)));
    }
    if let Some(newest) = history.points.last() {
        for case in newest.figures.keys() {
            last.remove(case.as_str());
        }
    }
    last
}

/// The changes of each machine as a table.
pub fn render(histories: &[History], look: Look) -> String {
    let lines: Vec<String> = histories
        .iter()
        .map(|history| render_one(history, look))
        .collect();
    lines.join("\n")
}

fn render_one(history: &History, look: Look) -> String {
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
    let (first, newest) = (history.points.first(), history.points.last());
    text += &format!(
        "  {} in {}",
        counted(changes.len(), "change"),
        counted(history.points.len(), "log")
    );
    if let (Some(first), Some(newest)) = (first, newest) {
        text += &format!(
            ", {} to {}; the newest is {} of revision {}",
            first.origin.date_shown(),
            newest.origin.date_shown(),
            newest.origin.name(),
            newest.revision
        );
    }
    text + "\n"
}
