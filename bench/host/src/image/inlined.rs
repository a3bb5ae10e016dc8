//! The functions of the source that an image's instructions come from, among them those that the compiler inlined.
//!
//! The symbol table knows what was compiled as a function of its own, the debug information (DWARF) also what was inlined into
//! it. Of the functions that an address lies in, the innermost one outside the standard
//! library counts: the origin of an instruction is code of this project.

use addr2line::Context;
use addr2line::gimli::{Dwarf, EndianSlice, LittleEndian, SectionId};
use anyhow::{Context as _, Result};
use object::{Object, ObjectSection};

/// Where the standard library's sources lie, in the paths that the compiler notes.
const STANDARD_LIBRARY: [&str; 3] = ["/library/core/", "/library/alloc/", "/library/std/"];

/// The debug information of an ELF file.
pub struct Inlined<'f>(Context<EndianSlice<'f, LittleEndian>>);

impl<'f> Inlined<'f> {
    /// Reads the bytes of an ELF file. One without any debug information knows no function.
    pub fn read(elf: &'f [u8]) -> Result<Self> {
        let file = object::File::parse(elf).context("this is no ELF file")?;
        let section = |id: SectionId| -> Result<_, object::Error> {
            let bytes = match file.section_by_name(id.name()) {
                Some(section) => section.data()?,
                None => &[],
            };
            Ok(EndianSlice::new(bytes, LittleEndian))
        };
        let dwarf = Dwarf::load(section).context("the debug information cannot be read")?;
        let context = Context::from_dwarf(dwarf).context("the debug information has faults")?;
        Ok(Self(context))
    }

    /// The function that the instruction at `address` comes from; none where there is no debug information of it.
    pub fn function(&self, address: u64) -> Option<String> {
        let mut frames = self.0.find_frames(address).skip_all_loads().ok()?;
        let mut last = None;
        // From the innermost to the one that was compiled.
        while let Ok(Some(frame)) = frames.next() {
            let Some(function) = frame.function else {
                continue;
            };
            let name = function.raw_name().ok()?;
            last = Some(format!("{:#}", rustc_demangle::demangle(&name)));
            let file = frame.location.and_then(|location| location.file);
            let is_library = |file: &str| STANDARD_LIBRARY.iter().any(|path| file.contains(path));
            if !file.is_some_and(is_library) {
                break;
            }
        }
        last
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::image::Symbols;

    #[inline(never)]
    fn outer(text: &str) -> usize {
        inner(text)
    }

    #[inline(always)]
    fn inner(text: &str) -> usize {
        std::hint::black_box(text.len())
    }

    #[test]
    fn inlined_functions_are_named_and_the_library_is_passed_over() {
        let own = std::env::current_exe().unwrap();
        let elf = std::fs::read(&own).unwrap();
        let inlined = Inlined::read(&elf).unwrap();
        let symbols = Symbols::read(&own).unwrap();
        let code = symbols.named("inlined::tests::outer").unwrap();
        let names: BTreeSet<String> = code
            .filter_map(|address| inlined.function(address))
            .collect();
        let has = |name: &str| names.iter().any(|known| known.ends_with(name));
        assert!(has("tests::outer") && has("tests::inner"), "{names:?}");
        assert!(
            !names.iter().any(|name| name.contains("black_box")),
            "{names:?}"
        );
        assert_eq!(outer("text"), 4);
    }
}
