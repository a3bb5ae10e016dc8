//! The image as a loader needs it: without symbols and debug information, which are four times as large as what is loaded.
//!
//! GRUB would take memory for every section of the file, loaded or not, and what a stick or a CD holds it reads through the firmware.

use anyhow::{Context, Result};
use object::LittleEndian;
use object::elf::{FileHeader64, SHN_UNDEF};
use object::pod::from_bytes_mut;
use object::read::elf::{FileHeader, ProgramHeader};

/// Cuts off an ELF file what lies behind its last segment, and takes its table of sections out.
pub fn loadable(mut elf: Vec<u8>) -> Result<Vec<u8>> {
    let header = FileHeader64::<LittleEndian>::parse(&*elf).context("no ELF file of 64 bits")?;
    let segments = header.program_headers(LittleEndian, &*elf)?;
    let end = segments
        .iter()
        .map(|segment| segment.file_range(LittleEndian))
        .map(|(offset, size)| offset.saturating_add(size))
        .max()
        .context("nothing in it is loaded")?;
    let (header, _) = from_bytes_mut::<FileHeader64<LittleEndian>>(&mut elf)
        .ok()
        .context("the header is cut off")?;
    header.e_shoff.set(LittleEndian, 0);
    header.e_shnum.set(LittleEndian, 0);
    header.e_shstrndx.set(LittleEndian, SHN_UNDEF);
    elf.truncate(usize::try_from(end)?);
    Ok(elf)
}

#[cfg(test)]
mod tests {
    use object::{Object, ObjectSegment};

    use super::*;

    #[test]
    fn segments_stay_and_sections_go() {
        let whole = std::fs::read(std::env::current_exe().unwrap()).unwrap();
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
        assert_eq!(after.sections().count(), 0);
        assert!(cut.len() < whole.len());
        assert!(loadable(b"not ELF".to_vec()).is_err());
    }
}
