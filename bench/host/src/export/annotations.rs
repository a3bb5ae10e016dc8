//! GitHub's annotations (`::error title=…::…`), worst first. A step shows ten of a kind, so the tenth counts the others.

use super::outcomes;
use crate::gate::{Judgement, Row};
use crate::log::Log;

const SHOWN: usize = 9;

/// Errors for what stops the gate or failed; one notice for the rest.
pub fn write(log: &Log, judgement: Option<&Judgement>) -> String {
    let mut errors: Vec<(f64, &str, String)> = outcomes(log, judgement)
        .into_iter()
        .filter_map(|outcome| {
            let rows = judgement.iter().flat_map(|judgement| &judgement.rows);
            let rise = rows
                .filter(|row| row.case() == outcome.name)
                .map(Row::rise)
                .fold(0.0, f64::max);
            Some((rise, outcome.name, outcome.failure?))
        })
        .collect();
    errors.sort_by(|left, right| right.0.total_cmp(&left.0));
    let mut text = String::new();
    for (_, name, failure) in errors.iter().take(SHOWN) {
        text += &format!("::error title={}::{}\n", property(name), message(failure));
    }
    if errors.len() > SHOWN {
        text += &format!(
            "::error title=pagemark::and {} more\n",
            errors.len() - SHOWN
        );
    }
    if let Some(judgement) = judgement {
        text += &format!(
            "::notice title=pagemark::{}\n",
            message(&judgement.summary())
        );
    }
    text
}

fn message(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

fn property(text: &str) -> String {
    message(text).replace(':', "%3A").replace(',', "%2C")
}
