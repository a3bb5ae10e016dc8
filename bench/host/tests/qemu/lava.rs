//! `signals=lava`: the serial line alone is enough for LAVA, and what it signals is what `pagemark export --format lava` writes.

use std::collections::{BTreeMap, BTreeSet};

use pagemark_host::export::{Format, export};
use pagemark_host::run::Outcome;

use super::{explained, pvh, run};

/// The signals in a log, as LAVA's dispatcher takes them: `<LAVA_SIGNAL_` and a word, then words with one `=` each, to `>`.
fn signals(log: &str) -> BTreeSet<BTreeMap<String, String>> {
    let all = log.match_indices("<LAVA_SIGNAL_TESTCASE ");
    let words = all.map(|(at, mark)| {
        let rest = &log[at + mark.len()..];
        let words = &rest[..rest.find('>').expect("a signal ends")];
        let pair = |word: &str| match word.split('=').collect::<Vec<_>>()[..] {
            [key, value] => (key.to_lowercase(), value.to_owned()),
            _ => panic!("malformed: {word}"),
        };
        words.split(' ').map(pair).collect()
    });
    words.collect()
}

#[test]
fn each_case_and_check_is_signalled_and_no_figure_moves() {
    let only = "only=pt/map/*,tlb/invlpgb/*";
    let (outcome, finished) = run(&pvh(&["suite=quick", only, "signals=lava"]));
    let Outcome::Pass(log) = outcome else {
        panic!("{}", explained(&outcome, &finished));
    };
    let raw = String::from_utf8_lossy(&finished.raw);
    let found = signals(&raw);
    assert_eq!(found, signals(&export(Format::Lava, &log, None, &[])));
    let result = |wanted: &str| {
        found
            .iter()
            .filter(|signal| signal["result"] == wanted)
            .count()
    };
    assert_eq!(result("skip"), log.skips.len());
    assert!(result("skip") > 0 && result("fail") == 0, "{found:?}");
    let measured = found
        .iter()
        .filter(|signal| signal.contains_key("measurement"));
    assert_eq!(measured.count(), log.results.len());
    let (without, finished) = run(&pvh(&["suite=quick", only]));
    assert!(!String::from_utf8_lossy(&finished.raw).contains("LAVA"));
    assert_eq!(without.log().map(|log| &log.results), Some(&log.results));
}
