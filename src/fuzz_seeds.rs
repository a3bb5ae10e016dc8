//! The seeds of the fuzzers in `fuzz/`, through the properties that those look for exceptions to.

use std::fs;
use std::path::Path;
use std::println;

#[path = "../fuzz/properties.rs"]
mod properties;

/// Puts every seed of a target through its properties.
fn seeds(target: &str, least: usize, hold: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/seeds")
        .join(target);
    let mut seeds = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        println!("{}", path.display());
        hold(&fs::read(path).unwrap());
        seeds += 1;
    }
    assert!(seeds >= least, "{seeds} seeds of {target}");
}

#[test]
fn acpi() {
    seeds("acpi", 5, properties::acpi);
}

#[test]
fn multiboot2() {
    seeds("multiboot2", 4, properties::multiboot2);
}

#[test]
fn pvh() {
    seeds("pvh", 3, properties::pvh);
}

#[test]
fn memory_map() {
    seeds("memory_map", 4, properties::memory_map);
}

#[test]
fn command_line() {
    seeds("command_line", 4, properties::command_line);
}
