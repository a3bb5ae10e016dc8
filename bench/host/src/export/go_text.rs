//! Go benchmark text (golang proposal 14313), which benchstat reads. [`crate::import::go_text`] reads it back.
//!
//! A benchmark's name begins in upper case there. The line [`MARK`] says that a name is this tool's and how it was changed: its
//! first letter was raised, and what does not begin with a small letter stands behind a `_`. It is a configuration line, equal for
//! all cases, so that benchstat keeps them in one table. White space and control characters become `_`, as in Go's own names; so
//! does a unit that is empty.
//!
//! The number of samples stands where Go has its iterations, 0 where it is not known. What the figure is of and what it resolves stand in a
//! line of their own ahead of it, which benchstat leaves out, as it does every line that is neither a figure nor a setting. The interval
//! has no place.

use crate::figures::Entry;

/// The line that stands ahead of the figures.
pub const MARK: &str = "tool: pagemark";

/// One line for each case.
pub fn write(figures: &[Entry]) -> String {
    let mut text = format!("{MARK}\nUnit insns assume=exact better=lower\n");
    for entry in figures {
        let unit = match entry.unit.as_str() {
            "" => "_".to_owned(),
            unit => in_one_word(unit),
        };
        if let Some(of) = entry.of {
            text += &format!("# {}, resolution {} {unit}\n", of.class, of.resolution);
        }
        text += &format!(
            "Benchmark{} {} {} {unit}\n",
            raised(&in_one_word(&entry.name)),
            entry.samples.unwrap_or(0),
            entry.value,
        );
    }
    text
}

/// A name that may follow the word `Benchmark`.
fn raised(name: &str) -> String {
    match name.chars().next() {
        Some(first) if first.is_ascii_lowercase() => {
            first.to_ascii_uppercase().to_string() + &name[1..]
        }
        _ => format!("_{name}"),
    }
}

/// The name that was raised so.
pub fn lowered(name: &str) -> String {
    match name.chars().next() {
        Some(first) if first.is_ascii_uppercase() => {
            first.to_ascii_lowercase().to_string() + &name[1..]
        }
        _ => name.strip_prefix('_').unwrap_or(name).to_owned(),
    }
}

fn in_one_word(text: &str) -> String {
    text.replace(|c: char| c.is_whitespace() || c.is_control(), "_")
}
