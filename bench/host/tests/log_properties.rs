//! The seeds of the fuzzer, through the properties it looks for exceptions to; and a real log, cut at every byte.

use std::fs;
use std::path::Path;

use pagemark_host::log::{Ending, Fault, read};

#[path = "../fuzz/properties.rs"]
mod properties;

fn seed(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/log");
    fs::read(folder.join(name)).unwrap()
}

#[test]
fn they_hold_of_every_seed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/log");
    let mut seeds = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        eprintln!("{}", path.display());
        properties::hold(&fs::read(path).unwrap());
        seeds += 1;
    }
    assert!(seeds >= 8, "{seeds}");
}

/// Were `whole` no whole log for this reader, say of an older version of the records, then the fuzzer would start from nothing.
#[test]
fn the_seeds_are_what_they_are_called() {
    let whole = read(&seed("whole")).unwrap();
    assert!(matches!(whole.ending, Ending::End(_)) && whole.results.len() == 4);
    assert!(matches!(
        read(&seed("panic")).unwrap().ending,
        Ending::Panic(_)
    ));
    let fault = |name| read(&seed(name)).unwrap_err().fault;
    assert!(matches!(fault("cut"), Fault::NoEnd));
    assert!(matches!(fault("changed"), Fault::Crc { .. }));
    assert!(matches!(fault("line_lost"), Fault::LineCount { .. }));
    assert!(matches!(fault("two_runs"), Fault::SecondStart { .. }));
    assert!(matches!(fault("few_records"), Fault::NoEnd));
}

/// As the image wrote it, and as a serial line brings it: what can be missing of a whole log is its last line's end, no more.
#[test]
fn a_real_log_cut_at_every_byte_is_incomplete_or_whole() {
    let plain = seed("whole");
    let text = String::from_utf8(plain.clone()).unwrap();
    let wire = text.replace('\n', "\r\n\x1b[0m").into_bytes();
    for log in [plain, wire] {
        let whole = read(&log).unwrap();
        let complete = log.iter().rposition(|&byte| byte == b'}').unwrap() + 1;
        for cut in 0..=log.len() {
            match read(&log[..cut]) {
                Ok(log) => assert!(cut >= complete && log == whole, "cut at {cut}"),
                Err(error) => assert!(
                    cut < complete && matches!(error.fault, Fault::NoStart | Fault::NoEnd),
                    "cut at {cut}: {error}"
                ),
            }
        }
    }
}
