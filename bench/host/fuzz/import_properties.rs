//! What holds of the readers of other tools' files for all bytes there are:
//!
//! - none of them panics, whatever the file looks like, and nor does the table of what it found;
//! - a figure is a finite number, and there is one a name and unit;
//! - what is read can be written in each format that is written, and read again as the same figures.

use std::collections::HashSet;
use std::path::Path;

use pagemark_host::export;
use pagemark_host::figures::Entry;
use pagemark_host::import::{Foreign, Format, read};
use pagemark_host::show::foreign::render;
use pagemark_host::style::Look;

/// Panics where one of them does not hold.
pub fn hold(bytes: &[u8]) {
    let _ = Format::recognise(bytes);
    for format in Format::ALL {
        if let Ok(foreign) = read(format, bytes, "name") {
            render(Path::new("file"), &foreign, Look::Plain);
            figures(&foreign);
            written_again(&foreign.entries);
        }
    }
}

fn figures(foreign: &Foreign) {
    let mut seen = HashSet::new();
    for entry in &foreign.entries {
        assert!(entry.value.is_finite(), "{entry:?}");
        let first = seen.insert((&entry.name, &entry.unit));
        assert!(first, "{entry:?} twice in {:?}", foreign.format);
    }
}

/// Names, units and figures come back; the rest is for tests that know what a format has no place for.
fn written_again(entries: &[Entry]) {
    if entries.is_empty() {
        return;
    }
    for (format, text) in [
        (Format::Bmf, export::bmf::write(entries)),
        (Format::GoText, export::go_text::write(entries)),
        (
            Format::GoogleBenchmark,
            export::google_benchmark::write(entries),
        ),
        (
            Format::SmallerIsBetter,
            export::smaller_is_better::write(entries),
        ),
    ] {
        let again = read(format, text.as_bytes(), "name").expect(&text);
        // Go's words have no white space, and Bencher's measures have units: two names may become one.
        assert!(again.entries.len() <= entries.len(), "{text}");
        for entry in entries {
            let same = |other: &&Entry| other.name == entry.name && other.unit == entry.unit;
            if let Some(other) = again.entries.iter().find(same)
                && again.entries.len() == entries.len()
            {
                assert!(other.value == entry.value, "{entry:?} in {text}");
            }
        }
    }
}
