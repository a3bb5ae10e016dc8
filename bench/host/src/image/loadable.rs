//! The image as a loader needs it: without symbols and debug information, which are four times as large as what is loaded.
//!
//! GRUB takes memory for every section of the file, loaded or not, and reads a stick or a CD through the firmware. GRUB 2.12 refuses
//! a file without a section table, and other readers want the section with the sections' names, so these two stay.

use anyhow::{Context, Result};
use object::elf::{
    FileHeader64, SHT_NULL, SHT_STRTAB, SectionFlags, SectionHeader64, SymbolSection,
};
use object::pod::{bytes_of_slice, from_bytes_mut};
use object::read::elf::{FileHeader, ProgramHeader};
use object::{LittleEndian, U32, U64};

use super::grub::{self, Refusal};

/// Alignment of the section table, in bytes.
const ALIGN: usize = 8;
/// The names of sections: the null section's, and that of this table.
const NAMES: &[u8] = b"\0.shstrtab\0";
/// The index of the section that holds [`NAMES`].
const NAMES_INDEX: u16 = 1;

/// Cuts off an ELF file what lies behind its last segment, and puts a section table there that names itself alone. GRUB loads the
/// result.
///
/// # Errors
///
/// The file is no ELF file of 64 bits, is cut off, or GRUB does not load it for another reason ([`Refusal`]).
pub fn loadable(mut elf: Vec<u8>) -> Result<Vec<u8>> {
    let header = FileHeader64::<LittleEndian>::parse(&*elf).context("no ELF file of 64 bits")?;
    let segments = header.program_headers(LittleEndian, &*elf)?;
    let end = segments
        .iter()
        .map(|segment| segment.file_range(LittleEndian))
        .map(|(offset, size)| offset.saturating_add(size))
        .max()
        .context("nothing in it is loaded")?;
    if end > elf.len() as u64 {
        let what = "segments";
        return Err(Refusal::CutOff { what, end }.into());
    }
    let end = usize::try_from(end)?;
    let sections = section_table(end);
    elf.truncate(end);
    elf.extend(NAMES);
    let table = elf.len().next_multiple_of(ALIGN);
    elf.resize(table, 0);
    elf.extend(bytes_of_slice(&sections));
    let (header, _) = from_bytes_mut::<FileHeader64<LittleEndian>>(&mut elf)
        .ok()
        .context("the header is cut off")?;
    header.e_shoff.set(LittleEndian, table as u64);
    let size = size_of::<SectionHeader64<LittleEndian>>();
    header.e_shentsize.set(LittleEndian, size as u16);
    header.e_shnum.set(LittleEndian, sections.len() as u16);
    header
        .e_shstrndx
        .set(LittleEndian, SymbolSection(NAMES_INDEX));
    grub::loads(&elf).context("GRUB does not load it")?;
    Ok(elf)
}

/// The null section, and the one of [`NAMES`], which lie at `offset` in the file.
fn section_table(offset: usize) -> [SectionHeader64<LittleEndian>; 2] {
    let zero = U64::new(LittleEndian, 0);
    let null = SectionHeader64 {
        sh_name: U32::new(LittleEndian, 0),
        sh_type: U32::new(LittleEndian, SHT_NULL),
        sh_flags: U64::new(LittleEndian, SectionFlags(0)),
        sh_addr: zero,
        sh_offset: zero,
        sh_size: zero,
        sh_link: U32::new(LittleEndian, 0),
        sh_info: U32::new(LittleEndian, 0),
        sh_addralign: zero,
        sh_entsize: zero,
    };
    let names = SectionHeader64 {
        sh_name: U32::new(LittleEndian, 1),
        sh_type: U32::new(LittleEndian, SHT_STRTAB),
        sh_offset: U64::new(LittleEndian, offset as u64),
        sh_size: U64::new(LittleEndian, NAMES.len() as u64),
        sh_addralign: U64::new(LittleEndian, 1),
        ..null
    };
    [null, names]
}

#[cfg(test)]
mod tests {
    use object::{Object, ObjectSection, ObjectSegment};

    use super::*;

    #[test]
    fn segments_stay_and_sections_go() {
        let whole = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        // This test is a position-independent executable, whose sections GRUB does not take.
        assert!(matches!(grub::loads(&whole), Err(Refusal::Relocations(_))));
        let cut = loadable(whole.clone()).unwrap();
        let [before, after] = [&whole, &cut].map(|elf| object::File::parse(&**elf).unwrap());
        assert_eq!(before.entry(), after.entry());
        // The first segment begins with the ELF header, which has changed.
        let mut segments = 0;
        for (before, after) in before.segments().zip(after.segments()).skip(1) {
            assert_eq!(before.address(), after.address());
            assert_eq!(before.size(), after.size());
            assert!(before.data().unwrap() == after.data().unwrap());
            segments += 1;
        }
        assert!(segments > 1 && after.segments().count() == segments + 1);
        let names: Vec<_> = after
            .sections()
            .map(|section| section.name().unwrap().to_owned())
            .collect();
        assert_eq!(names, [".shstrtab"]);
        assert!(cut.len() < whole.len());
        assert_eq!(loadable(cut.clone()).unwrap(), cut);
    }

    #[test]
    fn what_is_no_image_is_refused() {
        let refused = |elf: &[u8]| format!("{:#}", loadable(elf.to_vec()).unwrap_err());
        assert!(refused(b"not ELF").starts_with("no ELF file of 64 bits"));
        let whole = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let message = refused(&whole[..whole.len() / 8]);
        assert!(message.contains("it ends before its segments"), "{message}");
    }
}
