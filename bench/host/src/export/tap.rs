//! TAP version 13, a line for each check and case. Behind it, as a comment, stands why it failed, or what a case measured.

use super::outcomes;
use crate::gate::Judgement;
use crate::log::{Ending, Log};

/// The plan and its lines. A panic is the last line's failure.
pub fn write(log: &Log, judgement: Option<&Judgement>) -> String {
    let outcomes = outcomes(log, judgement);
    let panic = match &log.ending {
        Ending::Panic(panic) => Some(panic),
        Ending::End(_) => None,
    };
    let count = outcomes.len() + log.errors.len() + usize::from(panic.is_some());
    let mut lines = Vec::new();
    for outcome in outcomes {
        let figure = outcome.figure();
        lines.push(match (outcome.failure, outcome.skipped) {
            (Some(failure), _) => (false, outcome.name.to_owned(), Some(failure)),
            (None, Some(reason)) => (
                true,
                format!("{} # SKIP {}", description(outcome.name), line(reason)),
                None,
            ),
            (None, None) => (true, description(outcome.name), figure),
        });
    }
    lines.extend(
        log.errors
            .iter()
            .map(|error| (false, "run".to_owned(), Some(error.clone()))),
    );
    lines.extend(panic.map(|panic| (false, "panic".to_owned(), Some(panic.message.clone()))));
    let mut text = format!("TAP version 13\n1..{count}\n");
    for (index, (ok, what, detail)) in lines.into_iter().enumerate() {
        let word = if ok { "ok" } else { "not ok" };
        text += &format!("{word} {} - {what}\n", index + 1);
        if let Some(detail) = detail {
            text += &format!("# {}\n", line(&detail));
        }
    }
    text
}

fn line(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
}

/// A text in which `#` begins no directive.
fn description(text: &str) -> String {
    line(text).replace('#', "\\#")
}
