//! The tool on files that somebody damaged or made up to harm: it names what is wrong, ends, and hands nothing to the terminal.

mod pagemark;

use std::fs;
use std::path::{Path, PathBuf};

use pagemark::pagemark;

/// Every command that reads a log.
const COMMANDS: [&[&str]; 8] = [
    &["show", "--all"],
    &["show", "--json"],
    &["history"],
    &["fleet"],
    &["list"],
    &["alignment"],
    &["export", "--format", "html"],
    &["export", "--format", "csv"],
];

fn whole() -> Vec<u8> {
    let seed = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/log/whole");
    fs::read(seed).unwrap()
}

/// The whole log with `from` replaced in every record by `to`, and an end that proves it.
fn changed(from: &str, to: &str) -> Vec<u8> {
    let whole = String::from_utf8(whole()).unwrap().replace('\r', "");
    let (body, end) = whole.split_once("@pagemark {\"record\":\"end\"").unwrap();
    let body = &body[body.find("@pagemark {\"record\":\"start\"").unwrap()..];
    assert!(body.contains(from), "{from}");
    let body = body.replace(from, to);
    let (before, crc) = end.split_once("\"crc32\":").unwrap();
    let digits = crc.find('}').unwrap();
    let old = &crc[..digits];
    let sum = crc32fast::hash(body.as_bytes());
    let new = match old.starts_with('"') {
        true => format!("\"{:#010x}\"", sum),
        false => sum.to_string(),
    };
    // The number of lines stays.
    format!(
        "{body}@pagemark {{\"record\":\"end\"{before}\"crc32\":{new}{}",
        &crc[digits..]
    )
    .into_bytes()
}

fn is_obeyed(text: &str) -> bool {
    text.contains(|c: char| {
        (c.is_control() && c != '\n' && c != '\t') || ('\u{202a}'..='\u{202e}').contains(&c)
    })
}

/// What each command makes of the file; the statuses are 0 to 4.
fn all(path: &Path) -> Vec<i32> {
    let call = |words: &&[&str]| {
        let output = pagemark(words, &[path]);
        let [stdout, stderr] = [output.stdout, output.stderr]
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        assert!(!stderr.contains("panicked"), "{words:?}: {stderr}");
        assert!(
            !is_obeyed(&stdout) && !is_obeyed(&stderr),
            "{words:?}: {stdout} {stderr}"
        );
        let status = output.status.code().unwrap();
        assert!((0..=4).contains(&status), "{words:?}: {status}");
        assert!(
            status == 0 || !stderr.is_empty(),
            "{words:?} ends with {status} and says nothing"
        );
        status
    };
    COMMANDS.iter().map(call).collect()
}

fn file(folder: &tempfile::TempDir, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn the_whole_log_passes_and_so_do_its_encodings() {
    let folder = tempfile::tempdir().unwrap();
    let text = String::from_utf8(whole()).unwrap();
    let wide = |order: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(order).collect::<Vec<u8>>();
    let little = [&[0xff, 0xfe], wide(u16::to_le_bytes).as_slice()].concat();
    let whole: Vec<(&str, Vec<u8>)> = vec![
        ("plain.log", text.clone().into_bytes()),
        (
            "crlf.log",
            text.replace('\r', "").replace('\n', "\r\n").into_bytes(),
        ),
        (
            "twice.log",
            text.replace('\r', "").replace('\n', "\r\r\n").into_bytes(),
        ),
        ("utf-16-le.log", little.clone()),
        (
            "utf-16-be.log",
            [&[0xfe, 0xff], wide(u16::to_be_bytes).as_slice()].concat(),
        ),
        ("odd.log", little[..little.len() - 1].to_vec()),
        ("bom.log", [b"\xef\xbb\xbf", text.as_bytes()].concat()),
    ];
    for (name, bytes) in whole {
        let path = file(&folder, name, &bytes);
        assert_eq!(
            pagemark(&["show"], &[&path]).status.code(),
            Some(0),
            "{name}"
        );
    }
    let cut = file(&folder, "cut.log", &little[..little.len() / 2]);
    assert!(all(&cut).iter().all(|status| *status == 4));
}

#[test]
fn escape_sequences_reach_no_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let said = changed(
        "QEMU",
        "\\u001b]0;title\\u0007\\u001b[2J\\u009b31m\\u202eQEMU",
    );
    let path = file(&folder, "said.log", &said);
    assert!(all(&path)[..2] == [0, 0]);
    // The name of a file comes from elsewhere, too; one that is whole and one that is not.
    for bytes in [whole(), whole()[..900].to_vec()] {
        all(&file(&folder, "\u{1b}[31mred.log", &bytes));
    }
    let output = pagemark(
        &["split", "--output"],
        &[
            folder.path().join("out"),
            folder.path().join("\u{1b}[31mred.log"),
        ],
    );
    assert!(!is_obeyed(&String::from_utf8_lossy(
        &[output.stdout, output.stderr].concat()
    )));
}

#[test]
fn numbers_that_are_none_and_depths_without_end_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let median = |number: &str| changed("\"median\":", &format!("\"median\":{number},\"x\":"));
    let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    for (name, bytes) in [
        ("nan.log", median("NaN")),
        ("inf.log", median("1e999")),
        ("huge.log", median("99999999999999999999999")),
        ("exponent.log", median("1e308")),
        ("deep.log", median(&deep)),
        ("bytes.log", vec![0xa5; 100_000]),
        ("brackets.log", vec![b'['; 1_000_000]),
        ("empty.log", Vec::new()),
    ] {
        let statuses = all(&file(&folder, name, &bytes));
        assert!(
            statuses.iter().all(|status| *status == 4),
            "{name}: {statuses:?}"
        );
    }
}

#[test]
fn folders_in_a_folder_are_searched_where_it_has_no_logs() {
    let folder = tempfile::tempdir().unwrap();
    for machine in ["rack1", "rack2"] {
        fs::create_dir(folder.path().join(machine)).unwrap();
        fs::write(folder.path().join(machine).join("1.log"), whole()).unwrap();
    }
    let shown = pagemark(&["show", "--quiet"], &[folder.path()]);
    assert_eq!(
        String::from_utf8(shown.stdout)
            .unwrap()
            .matches("verdict")
            .count(),
        2
    );
}
