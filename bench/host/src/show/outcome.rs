//! How a run went: what was proven, what went wrong, the verdict, a panic's last words.

use pagemark_record::{Frames, Panic, Verdict};

use super::block::block;
use super::{GAP, KEY, crossover};
use crate::image::{Symbols, backtrace};
use crate::log::{Ending, Log};
use crate::style::{Look, thousands};

pub(super) fn tail(log: &Log, look: Look, symbols: Option<&Symbols>) -> String {
    let passed = log.checks.iter().filter(|check| check.pass).count();
    let mut rows = Vec::new();
    if !log.checks.is_empty() {
        rows.push(("checks", format!("{} passed", thousands(passed as u64))));
    }
    let failed = log.checks.iter().filter(|check| !check.pass);
    rows.extend(failed.map(|check| ("FAILED", format!("{}: {}", check.name, check.detail))));
    rows.extend(log.frames.as_ref().map(|&Frames { at_start, at_end }| {
        let came_back = match at_start == at_end {
            true => format!("all {} free frames came back", thousands(at_start)),
            false => format!(
                "{} were free at the start, {} at the end",
                thousands(at_start),
                thousands(at_end)
            ),
        };
        ("frames", came_back)
    }));
    rows.extend(crossover::summary(log).map(|text| ("crossover", text)));
    rows.extend(crossover::advised(log).map(|text| ("advice", text)));
    rows.extend(log.errors.iter().map(|error| ("error", error.clone())));
    let mut text = block(rows, look);
    match &log.ending {
        Ending::End(end) => {
            let verdict = match end.verdict {
                Verdict::Pass => look.good("pass"),
                Verdict::Fail => look.bad("fail"),
                Verdict::Error => look.bad("error"),
            };
            text += &format!(
                "  {:width$}{verdict}\n",
                "verdict",
                width = usize::from(KEY + GAP)
            );
        }
        Ending::Panic(panic) => text += &last_words(panic, look, symbols),
    }
    text
}

/// The image's first function, where every backtrace ends.
const ENTRY: &str = "image_entry";

fn last_words(panic: &Panic<String>, look: Look, symbols: Option<&Symbols>) -> String {
    let place = if panic.file.is_empty() {
        String::new()
    } else {
        format!(" at {}:{}", panic.file, panic.line)
    };
    let mut text = format!("\n  {}{place}\n    {}\n", look.bad("panic"), panic.message);
    let addresses: Vec<u64> = panic.addresses.iter().map(|address| address.0).collect();
    match symbols {
        Some(symbols) => {
            for (depth, frame) in backtrace(symbols, &addresses, ENTRY).iter().enumerate() {
                let doubt = if frame.linked { ' ' } else { '?' };
                let name = symbols.name(frame.inside).unwrap_or_default();
                text += format!("    {depth:>2} {doubt}{:#018x}  {name}", frame.address).trim_end();
                text.push('\n');
            }
        }
        None => {
            for (depth, address) in addresses.iter().enumerate() {
                text += &format!("    {depth:>2}  {address:#018x}\n");
            }
        }
    }
    text
}
