//! What vmexit of kvm-unit-tests (x86/vmexit.c) writes on the serial line: `cpuid 1210`, a test and what one turn of its loop took;
//! `  ipi self_ipi_sti_nop 800` and `  eoi …` for parts of it; `ipi (skipped)`.
//!
//! - A figure is a mean, in ticks of the TSC, cut to a whole number, and of a test that runs on all CPUs at once the time until all
//!   are done. A part's name stands behind its test's: `self_ipi_sti_nop/ipi`.
//! - Of several runs in one text it is their median, and a run is a sample.
//! - A test that was skipped becomes a note; other lines, those of QEMU and of the runner, are passed over.

use super::{Found, ImportError, count, text_lines};
use crate::figures::Entry;

/// Tests of every version. Others are read, too, but a text in which there is none of these is no such text.
const TESTS: [&str; 23] = [
    "cpuid",
    "vmcall",
    "wbinvd",
    "invd",
    "mov_from_cr8",
    "mov_to_cr8",
    "inl_from_pmtimer",
    "inl_from_qemu",
    "inl_from_kernel",
    "outl_to_kernel",
    "mov_dr",
    "tscdeadline_immed",
    "tscdeadline",
    "ipi",
    "ipi_halt",
    "ple_round_robin",
    "wr_kernel_gs_base",
    "wr_tsx_ctrl_msr",
    "wr_ibrs_msr",
    "wr_ibpb_msr",
    "wr_tsc_adjust_msr",
    "toggle_cr0_wp",
    "toggle_cr4_pge",
];
/// Parts of a test that have a line of their own.
const PARTS: [&str; 2] = ["ipi", "eoi"];
/// What stands in the place of a figure.
const SKIPPED: &str = "(skipped)";

/// Whether there is a line of a test that is known.
pub fn is_one(bytes: &[u8]) -> bool {
    text_lines(bytes).any(|(_, text)| {
        let line = line(&text);
        line.is_some_and(|(test, part, value)| {
            let is_value = value == SKIPPED || value.parse::<u64>().is_ok();
            is_value && part.is_none() && is_known(test)
        })
    })
}

fn is_known(test: &str) -> bool {
    TESTS.contains(&test) || test.starts_with("self_ipi_") || test.starts_with("x2apic_self_ipi_")
}

/// A test, its part, and what should be a value.
fn line(text: &str) -> Option<(&str, Option<&str>, &str)> {
    let words: Vec<&str> = text.split_whitespace().take(4).collect();
    match words[..] {
        [test, value] if is_word(test) => Some((test, None, value)),
        [part, test, value] if PARTS.contains(&part) && is_word(test) => {
            Some((test, Some(part), value))
        }
        _ => None,
    }
}

/// Whether it is written as the names of tests are.
fn is_word(text: &str) -> bool {
    let inside =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_+:-".contains(&byte);
    text.starts_with(|first: char| first.is_ascii_lowercase()) && text.bytes().all(inside)
}

/// The figures of a text.
pub(super) fn read(bytes: &[u8]) -> Result<Found, ImportError> {
    let mut found = Found::default();
    for (number, text) in text_lines(bytes) {
        let Some((test, part, value)) = line(&text) else {
            continue;
        };
        if value == SKIPPED {
            found.notes.push(format!("{test}: skipped"));
            continue;
        }
        let ticks = match count(number, "a test's ticks", value) {
            Ok(ticks) => ticks,
            // Two words of something else.
            Err(_) if part.is_none() && !is_known(test) => continue,
            Err(error) => return Err(error),
        };
        let name = match part {
            Some(part) => format!("{test}/{part}"),
            None => test.to_owned(),
        };
        found.entries.push(Entry {
            samples: Some(1),
            ..Entry::new(name, "ticks", ticks as f64)
        });
    }
    Ok(found)
}
