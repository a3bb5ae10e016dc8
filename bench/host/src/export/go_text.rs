//! Go benchmark text (golang proposal 14313), which benchstat reads.

use crate::figures::Entry;

/// One line for each case.
pub fn write(figures: &[Entry]) -> String {
    let mut text = String::from("Unit insns assume=exact better=lower\n");
    for entry in figures {
        text += &format!(
            "Benchmark{} {} {} {}\n",
            capital(&entry.name),
            entry.samples.unwrap_or(1),
            entry.value,
            entry.unit
        );
    }
    text
}

fn capital(name: &str) -> String {
    let mut rest = name.chars();
    rest.next().map_or_else(String::new, |first| {
        first.to_ascii_uppercase().to_string() + rest.as_str()
    })
}
