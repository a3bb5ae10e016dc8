//! What goes into a pack comes out of it, elsewhere, and nothing else.

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use pagemark_record::Clock;
use ruzstd::decoding::StreamingDecoder;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

use super::{Names, write};
use crate::fleet::{Fleet, Unit};
use crate::glob::Globs;
use crate::log::Log;
use crate::log::origin::DateSource;
use crate::log::sample::good;
use crate::log::side::{Reading, SideError, logs};
use crate::style::Look;

/// Two folders of logs of one and of another machine, in the home of somebody, captured by a host's journal.
fn home() -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    for (folder, name, clock) in [
        ("alice", "2026-11-30-133953.log", Clock::Tsc),
        ("alice", "2026-11-30-143953.log", Clock::Tsc),
        ("bob", "boot.log", Clock::Tsc),
    ] {
        let folder = home.path().join(folder);
        fs::create_dir_all(&folder).unwrap();
        let log = String::from_utf8(good(clock)).unwrap();
        let log = if name == "boot.log" {
            log
        } else {
            journal(&log)
        };
        fs::write(folder.join(name), log).unwrap();
    }
    home
}

/// As journald keeps a console, which names the host.
fn journal(log: &str) -> String {
    let lines = log
        .lines()
        .map(|line| format!("Nov 30 13:39:53 alices-laptop qemu[1]: {line}\n"));
    lines.collect()
}

fn pack(home: &Path, names: Names) -> PathBuf {
    let file = home.join("packed");
    let folders = ["alice", "bob"].map(|folder| home.join(folder));
    write(&folders, names, &mut Reading::default(), &file).unwrap();
    file
}

/// The archive in a pack.
fn archive(file: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    let file = fs::File::open(file).unwrap();
    StreamingDecoder::new(file)
        .unwrap()
        .read_to_end(&mut bytes)
        .unwrap();
    bytes
}

fn table(logs: &[Log]) -> String {
    Fleet::new(logs, &Globs::default(), Unit::Clock).write(Default::default(), None, Look::Plain)
}

#[test]
fn a_pack_gives_the_table_of_its_folders_elsewhere() {
    let (home, elsewhere) = (home(), tempfile::tempdir().unwrap());
    let file = elsewhere.path().join("b.tar.zst");
    fs::rename(pack(home.path(), Names::Folders), &file).unwrap();
    let folders = ["alice", "bob"].map(|folder| home.path().join(folder));
    let before = logs(&folders).unwrap();
    drop(home);
    let after = logs(&[file]).unwrap();
    assert_eq!(after.len(), 3);
    assert_eq!(table(&after), table(&before));
    for (before, after) in before.iter().zip(&after) {
        assert_eq!(
            (&before.results, &before.ending),
            (&after.results, &after.ending)
        );
        assert_eq!(
            before.origin.date.map(|date| date.source),
            after.origin.date.map(|date| date.source)
        );
    }
    assert_eq!(after[2].origin.date.unwrap().source, DateSource::Modified);
    assert_eq!(before[2].origin.date_shown(), after[2].origin.date_shown());
}

#[test]
fn nothing_names_a_person_or_a_host() {
    let home = home();
    let file = pack(home.path(), Names::Hashes);
    let bytes = archive(&file);
    let text = String::from_utf8_lossy(&bytes);
    for name in ["alice", "bob", "laptop", home.path().to_str().unwrap()] {
        assert!(!text.contains(name), "{name}");
    }
    let mut archive = tar::Archive::new(bytes.as_slice());
    for file in archive.entries().unwrap() {
        let file = file.unwrap();
        let header = file.header();
        assert_eq!((header.uid().unwrap(), header.gid().unwrap()), (0, 0));
        assert_eq!(
            (header.username(), header.groupname()),
            (Ok(Some("")), Ok(Some("")))
        );
    }
    // Both folders are of one machine, by what its logs say.
    let logs = logs(&[file]).unwrap();
    assert_eq!(
        Fleet::new(&logs, &Globs::default(), Unit::Clock)
            .machines
            .len(),
        1
    );
}

/// Packs these files as they are.
fn of(file: &Path, files: &[(&str, &[u8])]) {
    let mut archive = tar::Builder::new(Vec::new());
    for (path, bytes) in files {
        write::append(&mut archive, path, bytes, 1).unwrap();
    }
    let bytes = archive.into_inner().unwrap();
    fs::write(
        file,
        compress_to_vec(bytes.as_slice(), CompressionLevel::Fastest),
    )
    .unwrap();
}

#[test]
fn a_damaged_pack_is_an_error_that_names_what() {
    let home = home();
    let file = pack(home.path(), Names::Hashes);
    let whole = fs::read(&file).unwrap();
    let bytes = archive(&file);
    let files: Vec<(String, Vec<u8>)> = tar::Archive::new(bytes.as_slice())
        .entries()
        .unwrap()
        .map(|file| {
            let mut file = file.unwrap();
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes).unwrap();
            (
                String::from_utf8(file.path_bytes().into_owned()).unwrap(),
                bytes,
            )
        })
        .collect();
    let files: Vec<(&str, &[u8])> = files
        .iter()
        .map(|(path, bytes)| (path.as_str(), bytes.as_slice()))
        .collect();
    let message = || match logs(std::slice::from_ref(&file)) {
        Err(error @ SideError::Pack { .. }) => error.to_string(),
        other => panic!("{other:?}"),
    };
    let mut changed = files[1].1.to_vec();
    changed[100] ^= 1;
    let future = String::from_utf8(files[0].1.to_vec())
        .unwrap()
        .replace("\"version\": 1", "\"version\": 2");
    for (files, part) in [
        (
            &[files[0], (files[1].0, &changed[..]), files[2], files[3]][..],
            "the manifest says",
        ),
        (&[files[0], files[1], files[2]], "is missing"),
        (&[files[0], files[2]], "has no"),
        (
            &[files[0], files[1], files[2], files[3], ("more", b"")],
            "has no \"more\"",
        ),
        (&[files[1]], "no pack of pagemark"),
        (&[("manifest.json", b"{}")], "manifest.json: missing field"),
        (&[("manifest.json", future.as_bytes())], "version is 2"),
    ] {
        of(&file, files);
        assert!(message().contains(part), "{}: {part}", message());
    }
    for cut in [5, whole.len() / 2, whole.len() - 5] {
        fs::write(&file, &whole[..cut]).unwrap();
        assert!(message().contains("damaged"), "{cut}: {}", message());
    }
    // With --skip-broken the others are read.
    let mut reading = Reading::new(true);
    let read = reading
        .logs(&[file.clone(), home.path().join("bob")])
        .unwrap();
    assert_eq!((read.len(), reading.skipped.len()), (1, 1));
    // No more is taken into memory than a log may have.
    let mut header = tar::Header::new_gnu();
    header.set_path("manifest.json").unwrap();
    header.set_size(1 << 40);
    header.set_cksum();
    let mut huge = Vec::new();
    huge.write_all(header.as_bytes()).unwrap();
    fs::write(
        &file,
        compress_to_vec(huge.as_slice(), CompressionLevel::Fastest),
    )
    .unwrap();
    assert!(
        message().contains("has 1099511627776 bytes"),
        "{}",
        message()
    );
    // Nor of a name, which has a file of its own where it is long.
    let mut header = tar::Header::new_gnu();
    header.set_path("././@LongLink").unwrap();
    header.set_entry_type(tar::EntryType::GNULongName);
    header.set_size(1 << 40);
    header.set_cksum();
    fs::write(
        &file,
        compress_to_vec(&header.as_bytes()[..], CompressionLevel::Fastest),
    )
    .unwrap();
    assert!(
        message().contains("has 1099511627776 bytes"),
        "{}",
        message()
    );
}
