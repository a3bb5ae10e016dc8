//! An image whose code lies elsewhere: all that is measured has moved, the bracket has not, and no count is another.

use std::collections::BTreeMap;
use std::path::Path;

use object::{Object, ObjectSymbol};
use pagemark_host::image::Origin;
use pagemark_host::run::Door;

use super::{image, passed, pvh};

/// The operations' addresses by the names of their symbols, and the bracket's.
fn addresses(image: &Path) -> (BTreeMap<String, u64>, u64) {
    let bytes = std::fs::read(image).unwrap();
    let file = object::File::parse(&*bytes).unwrap();
    let mut operations = BTreeMap::new();
    let mut bracket = None;
    for symbol in file.symbols() {
        let name = symbol.name().unwrap_or_default();
        if name.contains("harness6sample9operation") {
            operations.insert(name.to_owned(), symbol.address());
        } else if name.contains("5block11independent") {
            bracket = Some(symbol.address());
        }
    }
    (operations, bracket.expect("the bracket is a function"))
}

#[test]
fn all_that_is_measured_moves_and_counts_what_it_counted() {
    let moved = Origin::Sources { text_offset: 48 }.file().unwrap();
    let (before, bracket) = addresses(&image());
    let (after, same_bracket) = addresses(&moved);
    assert_eq!(bracket, same_bracket);
    assert!(before.len() > 50, "{before:?}");
    for (name, address) in &before {
        assert_eq!(after[name], address + 48, "{name}");
    }

    let words = ["suite=quick", "only=tlb/*"];
    let mut boot = pvh(&words);
    let log = passed(&boot);
    boot.door = Door::Pvh {
        image: moved,
        command_line: words.map(str::to_owned).to_vec(),
    };
    let elsewhere = passed(&boot);
    assert_eq!(
        (log.start.text_offset, elsewhere.start.text_offset),
        (0, 48)
    );
    assert!(!log.results.is_empty());
    assert_eq!(log.results, elsewhere.results);
}
