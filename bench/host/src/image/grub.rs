//! What GRUB demands of an ELF file that it loads by multiboot2.
//!
//! The rules are those of GRUB 2.06, `grub-core/loader/multiboot_elfxx.c`, and the stricter ones of 2.12, which reads the numbers of
//! sections and of program headers by `grub-core/kern/elfXX.c`. A file that passes here loads in both.

use object::LittleEndian;
use object::elf::{
    EM_X86_64, ET_DYN, ET_EXEC, EV_CURRENT, FileHeader64, PN_XNUM, PT_LOAD, SHN_LORESERVE, SHT_REL,
    SHT_RELA, SectionHeader64,
};
use object::pod::slice_from_bytes;
use object::read::elf::{FileHeader, ProgramHeader};

/// Bytes at the start of a file in which GRUB looks for the program headers and for the multiboot2 header.
const SEARCHED: u64 = 32 << 10;
/// GRUB runs on 32 bits when it starts an image: all of it has to lie below.
const END: u64 = 1 << 32;

/// Why GRUB does not load a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is no ELF file of 64 bits.
    #[error("it is no ELF file of 64 bits")]
    NotElf,
    /// It is for another machine, or no executable file.
    #[error("it is no executable file for x86-64 (e_machine {machine}, e_type {kind})")]
    NotExecutable {
        /// `e_machine`.
        machine: u16,
        /// `e_type`.
        kind: u16,
    },
    /// There is no section table. GRUB 2.06 does without.
    #[error("it has no section table (e_shnum 0), which GRUB 2.12 refuses")]
    NoSections,
    /// A count or an index in the header is an escape value for large files.
    #[error("its header says {what} {value}")]
    Reserved {
        /// The field.
        what: &'static str,
        /// Its value.
        value: u16,
    },
    /// The program headers end beyond the part that GRUB searches.
    #[error("its program headers end at byte {0}, beyond the {SEARCHED} that GRUB searches")]
    HeadersTooFar(u64),
    /// The file ends before something that its headers name.
    #[error("it ends before its {what}, at byte {end}")]
    CutOff {
        /// What is missing.
        what: &'static str,
        /// Where that ends, in bytes.
        end: u64,
    },
    /// A segment ends above 4 GiB of physical memory.
    #[error("a segment ends at {0:#x}, above 4 GiB")]
    TooHigh(u64),
    /// No segment has the entry point.
    #[error("its entry point {0:#x} is in no segment")]
    NoEntry(u64),
    /// A section holds relocations.
    #[error("section {0} holds relocations")]
    Relocations(usize),
}

/// Whether GRUB 2.06 and GRUB 2.12 load `elf`; if one of them does not, why.
pub fn loads(elf: &[u8]) -> Result<(), Refusal> {
    let endian = LittleEndian;
    let header = FileHeader64::<LittleEndian>::parse(elf).map_err(|_| Refusal::NotElf)?;
    let (machine, kind) = (header.e_machine(endian), header.e_type(endian));
    let is_current = header.e_version.get(endian) == u32::from(EV_CURRENT.0);
    if machine != EM_X86_64 || !(kind == ET_EXEC || kind == ET_DYN) || !is_current {
        let (machine, kind) = (machine.0, kind.0);
        return Err(Refusal::NotExecutable { machine, kind });
    }
    let sections = header.e_shnum.get(endian);
    if sections == 0 {
        return Err(Refusal::NoSections);
    }
    for (what, value, end) in [
        ("e_shnum", sections, SHN_LORESERVE),
        ("e_shstrndx", header.e_shstrndx.get(endian).0, SHN_LORESERVE),
        ("e_phnum", header.e_phnum.get(endian), PN_XNUM),
    ] {
        if value >= end {
            return Err(Refusal::Reserved { what, value });
        }
    }
    segments(elf, header)?;
    section_table(elf, header)
}

fn segments(elf: &[u8], header: &FileHeader64<LittleEndian>) -> Result<(), Refusal> {
    let endian = LittleEndian;
    let size = u64::from(header.e_phnum.get(endian)) * u64::from(header.e_phentsize.get(endian));
    let end = header.e_phoff.get(endian).saturating_add(size);
    if end > SEARCHED {
        return Err(Refusal::HeadersTooFar(end));
    }
    let what = "program headers";
    let segments = header
        .program_headers(endian, elf)
        .map_err(|_| Refusal::CutOff { what, end })?;
    for segment in segments
        .iter()
        .filter(|segment| segment.p_type(endian) == PT_LOAD)
    {
        let end = segment
            .p_paddr(endian)
            .saturating_add(segment.p_memsz(endian));
        if end >= END {
            return Err(Refusal::TooHigh(end));
        }
        let (offset, size) = segment.file_range(endian);
        let end = offset.saturating_add(size);
        if end > elf.len() as u64 {
            let what = "segments";
            return Err(Refusal::CutOff { what, end });
        }
    }
    let entry = header.e_entry.get(endian);
    let holds_entry = |segment: &object::elf::ProgramHeader64<LittleEndian>| {
        let start = segment.p_vaddr(endian);
        (start..start.saturating_add(segment.p_memsz(endian))).contains(&entry)
    };
    if !segments.iter().any(holds_entry) {
        return Err(Refusal::NoEntry(entry));
    }
    Ok(())
}

fn section_table(elf: &[u8], header: &FileHeader64<LittleEndian>) -> Result<(), Refusal> {
    let endian = LittleEndian;
    let start = header.e_shoff.get(endian);
    let count = usize::from(header.e_shnum.get(endian));
    let size = count * usize::from(header.e_shentsize.get(endian));
    let what = "section table";
    let end = start.saturating_add(size as u64);
    let cut_off = Refusal::CutOff { what, end };
    let table = usize::try_from(start)
        .ok()
        .and_then(|start| elf.get(start..)?.get(..size))
        .ok_or(cut_off)?;
    let sections = slice_from_bytes::<SectionHeader64<LittleEndian>>(table, count);
    let (sections, _) = sections.map_err(|()| cut_off)?;
    let relocates = |section: &SectionHeader64<LittleEndian>| {
        [SHT_REL, SHT_RELA].contains(&section.sh_type.get(endian))
    };
    match sections.iter().position(relocates) {
        Some(section) => Err(Refusal::Relocations(section)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Offsets of fields in the header, and in the first program header behind it.
    const E_TYPE: usize = 16;
    const E_MACHINE: usize = 18;
    const E_ENTRY: usize = 24;
    const E_PHOFF: usize = 32;
    const E_SHOFF: usize = 40;
    const E_PHNUM: usize = 56;
    const E_SHNUM: usize = 60;
    const E_SHSTRNDX: usize = 62;
    const P_OFFSET: usize = 64 + 8;
    const P_PADDR: usize = 64 + 24;
    const SH_TYPE: usize = 64 + 56 + 4;

    /// An image with one segment, of the file's first 4 KiB, and the section table that [`super::super::loadable`] writes.
    fn image() -> Vec<u8> {
        let mut elf = vec![0; 4096];
        elf[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
        for (at, value) in [
            (E_TYPE, ET_EXEC.0),
            (E_MACHINE, EM_X86_64.0),
            (20, 1),
            (52, 64),
            (54, 56),
            (E_PHNUM, 1),
            (58, 64),
            (E_SHNUM, 1),
        ] {
            put(&mut elf, at, &value.to_le_bytes());
        }
        let (physical, size) = (0x10_0000_u64, 4096_u64);
        for (at, value) in [
            (E_ENTRY, physical),
            (E_PHOFF, 64),
            (E_SHOFF, 64 + 56),
            (64 + 16, physical),
            (P_PADDR, physical),
            (64 + 32, size),
            (64 + 40, size),
        ] {
            put(&mut elf, at, &value.to_le_bytes());
        }
        put(&mut elf, 64, &PT_LOAD.0.to_le_bytes());
        elf
    }

    fn put(elf: &mut [u8], at: usize, bytes: &[u8]) {
        elf[at..][..bytes.len()].copy_from_slice(bytes);
    }

    fn with(at: usize, bytes: &[u8]) -> Result<(), Refusal> {
        let mut elf = image();
        put(&mut elf, at, bytes);
        loads(&elf)
    }

    #[test]
    fn an_image_is_loaded() {
        assert_eq!(loads(&image()), Ok(()));
    }

    #[test]
    fn what_grub_does_not_load_is_refused_with_the_reason() {
        let word = u64::to_le_bytes;
        assert_eq!(loads(b"not ELF"), Err(Refusal::NotElf));
        let machine = EM_X86_64.0;
        for (at, kind) in [(E_TYPE, 1_u16), (E_MACHINE, 3)] {
            let found = with(at, &kind.to_le_bytes());
            assert!(
                matches!(found, Err(Refusal::NotExecutable { machine: m, kind: 1 | 2 }) if (m == machine) == (at == E_TYPE)),
                "{found:?}"
            );
        }
        assert_eq!(with(E_SHNUM, &[0, 0]), Err(Refusal::NoSections));
        for (at, what) in [(E_SHNUM, "e_shnum"), (E_SHSTRNDX, "e_shstrndx")] {
            let value = 0xff00;
            let found = with(at, &u16::to_le_bytes(value));
            assert_eq!(found, Err(Refusal::Reserved { what, value }));
        }
        let (what, value) = ("e_phnum", 0xffff);
        let found = with(E_PHNUM, &[0xff, 0xff]);
        assert_eq!(found, Err(Refusal::Reserved { what, value }));
        let found = with(E_PHOFF, &word(SEARCHED));
        assert_eq!(found, Err(Refusal::HeadersTooFar(SEARCHED + 56)));
        assert_eq!(with(P_PADDR, &word(END - 4096)), Err(Refusal::TooHigh(END)));
        assert_eq!(with(E_ENTRY, &word(4096)), Err(Refusal::NoEntry(4096)));
        for (at, offset, what, end) in [
            (P_OFFSET, 1, "segments", 4097),
            (E_SHOFF, 4096, "section table", 4160),
        ] {
            let found = with(at, &word(offset));
            assert_eq!(found, Err(Refusal::CutOff { what, end }));
        }
        let found = with(SH_TYPE, &SHT_RELA.0.to_le_bytes());
        assert_eq!(found, Err(Refusal::Relocations(0)));
    }
}
