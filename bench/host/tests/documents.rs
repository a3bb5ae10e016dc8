//! README and docs: every link leads somewhere, every file that they name is there, and every option of a command is one that the
//! command has.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use pagemark_host::checkout;

/// Lines that the README may have.
const README_LINES: usize = 200;

/// Folders whose files the documents name by path.
const FOLDERS: [&str; 8] = [
    "src/", "bench/", "boot/", "scripts/", "docs/", "lab/", "fuzz/", ".ci/",
];

fn root() -> PathBuf {
    checkout::root().unwrap()
}

/// Every document, with its text.
fn documents() -> Vec<(PathBuf, String)> {
    let root = root();
    let mut paths = [
        "README.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "CHANGELOG.md",
    ]
    .map(|name| root.join(name))
    .to_vec();
    let docs = fs::read_dir(root.join("docs")).unwrap();
    paths.extend(docs.map(|entry| entry.unwrap().path()));
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    assert!(paths.len() > 10, "{paths:?}");
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        (path, text)
    };
    paths.into_iter().map(read).collect()
}

/// The text without the content of fenced blocks.
fn prose(text: &str) -> String {
    let parts = text.split("```").step_by(2);
    parts.collect()
}

/// The lines of fenced shell blocks, without comments.
fn commands(text: &str) -> Vec<String> {
    let blocks = text.split("```").skip(1).step_by(2);
    let shell = blocks.filter_map(|block| block.strip_prefix("sh\n"));
    let lines = shell.flat_map(str::lines);
    let code = lines.map(|line| line.split(" #").next().unwrap().trim().to_owned());
    code.filter(|line| !line.is_empty()).collect()
}

/// The pieces of code in a text, fenced or between single backquotes.
fn code(text: &str) -> Vec<String> {
    let inline = prose(text);
    let spans = inline.split('`').skip(1).step_by(2);
    let mut found: Vec<String> = spans.map(|span| span.replace('\n', " ")).collect();
    found.extend(commands(text));
    found
}

/// The anchor that GitHub gives a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter_map(|letter| match letter {
        ' ' => Some('-'),
        '-' | '_' => Some(letter),
        _ if letter.is_alphanumeric() => Some(letter.to_ascii_lowercase()),
        _ => None,
    });
    kept.collect()
}

fn has_anchor(file: &Path, wanted: &str) -> bool {
    let text = fs::read_to_string(file).unwrap_or_default();
    let prose = prose(&text);
    let headings = prose.lines().filter(|line| line.starts_with('#'));
    headings
        .map(|line| anchor(line.trim_start_matches('#').trim()))
        .any(|found| found == wanted)
}

/// Targets of links and pictures that are no addresses of the web.
fn links(text: &str) -> Vec<String> {
    let prose = prose(text);
    let markdown = prose.split("](").skip(1).map(|rest| rest.split(')').next());
    let html = ["src=\"", "srcset=\""].into_iter().flat_map(|attribute| {
        let values = prose.split(attribute).skip(1);
        values.map(|rest| rest.split('"').next())
    });
    let all = markdown.chain(html).flatten().map(str::to_owned);
    all.filter(|link| !link.contains("://")).collect()
}

#[test]
fn every_link_leads_to_a_file_and_a_heading() {
    let mut seen = 0;
    for (document, text) in documents() {
        for link in links(&text) {
            let (path, heading) = link.split_once('#').unwrap_or((&link, ""));
            let file = match path {
                "" => document.clone(),
                path => document.parent().unwrap().join(path),
            };
            assert!(file.exists(), "{}: {link}", document.display());
            if !heading.is_empty() {
                assert!(has_anchor(&file, heading), "{}: {link}", document.display());
            }
            seen += 1;
        }
    }
    assert!(seen > 40, "{seen} links");
}

#[test]
fn every_file_that_is_named_is_there() {
    let mut seen = 0;
    for (document, text) in documents() {
        for code in code(&text) {
            for word in code.split_whitespace() {
                let path =
                    word.trim_matches(|c: char| !c.is_alphanumeric() && !['.', '/'].contains(&c));
                let ours = FOLDERS.iter().any(|folder| path.starts_with(folder));
                // A web server's paths, and patterns.
                if !ours
                    || path.contains(['*', '$', '{', ',', '='])
                    || path.starts_with("boot/grub/")
                {
                    continue;
                }
                let there = root().join(path).exists();
                assert!(there, "{}: no {path}", document.display());
                seen += 1;
            }
        }
    }
    assert!(seen > 60, "{seen} files");
}

#[test]
fn the_readme_fits_its_length() {
    let text = fs::read_to_string(root().join("README.md")).unwrap();
    let lines = text.lines().count();
    assert!(lines <= README_LINES, "{lines} lines");
}

/// The command of the host tool that a line runs, with the words behind it.
fn of_the_tool(line: &str) -> Option<(&'static str, Vec<String>)> {
    const COMMANDS: [(&str, &str); 16] = [
        ("scripts/run.sh", "run"),
        ("scripts/gate.sh", "gate"),
        ("scripts/iso.sh", "iso"),
        ("scripts/netboot.sh", "netboot"),
        ("pagemark run", "run"),
        ("pagemark show", "show"),
        ("pagemark compare", "compare"),
        ("pagemark gate", "gate"),
        ("pagemark ab", "ab"),
        ("pagemark history", "history"),
        ("pagemark fleet", "fleet"),
        ("pagemark pack", "pack"),
        ("pagemark list", "list"),
        ("pagemark split", "split"),
        ("pagemark export", "export"),
        ("scripts/pagemark.sh show", "show"),
    ];
    let found = COMMANDS.iter().find_map(|&(start, command)| {
        let rest = line.strip_prefix(start)?;
        rest.starts_with([' ', '\0']).then_some((command, rest))
    })?;
    let words = found.1.split_whitespace().map(str::to_owned);
    Some((found.0, words.collect()))
}

#[test]
fn every_option_is_one_that_the_command_has() {
    let mut seen = BTreeSet::new();
    for (document, text) in documents() {
        for line in code(&text) {
            let Some((command, words)) = of_the_tool(&line) else {
                continue;
            };
            let nested = (command == "fleet" && words.first().is_some_and(|word| word == "run"))
                .then_some("run");
            let words = words.iter().map(|word| word.trim_start_matches('['));
            for option in words.filter(|word| word.starts_with("--") && word.len() > 2) {
                let option = option.split(['=', ']']).next().unwrap();
                // The script's own, in front of the tool's.
                if line.starts_with("scripts/") && ["--text-offset"].contains(&option) {
                    continue;
                }
                let mut tool = Command::new(env!("CARGO_BIN_EXE_pagemark"));
                let help = tool
                    .arg(command)
                    .args(nested)
                    .arg("--help")
                    .output()
                    .unwrap();
                let help = String::from_utf8_lossy(&help.stdout).into_owned();
                let has = help
                    .split(|c: char| !c.is_alphanumeric() && c != '-')
                    .any(|word| word == option);
                assert!(has, "{}: {command} has no {option}", document.display());
                seen.insert(format!("{command} {option}"));
            }
        }
    }
    assert!(seen.len() > 15, "{seen:?}");
}

/// The keys of the image's command line are fields of one macro call.
fn keys_of_the_image() -> BTreeSet<String> {
    let source = root().join("src/boot/command_line/mod.rs");
    let source = fs::read_to_string(source).unwrap();
    let options = source.split("\noptions! {\n").nth(1).unwrap();
    let options = options.split("\n}\n").next().unwrap();
    let fields = options.lines().map(str::trim_start);
    let keys = fields.filter(|line| !line.starts_with("//"));
    keys.map(|line| line.split(':').next().unwrap().to_owned())
        .collect()
}

#[test]
fn every_word_of_the_image_is_documented_and_no_other() {
    let page = fs::read_to_string(root().join("docs/command-line.md")).unwrap();
    let table = page.split("## The image").nth(1).unwrap();
    let words = code(table).into_iter().filter_map(|word| {
        let (key, _) = word.split_once('=')?;
        let is_key = key.chars().all(|c| c.is_ascii_lowercase() || c == '_');
        is_key.then(|| key.to_owned())
    });
    let documented: BTreeSet<_> = words.collect();
    let keys = keys_of_the_image();
    assert!(keys.len() > 20, "{keys:?}");
    assert_eq!(documented, keys);
}
