//! How much RAM an image needs, by its ELF file: its segments, and what its note of owner `pagemark` says has to be free beside them.

use std::path::Path;

use object::LittleEndian;
use object::elf::{FileHeader64, PT_LOAD};
use object::read::elf::{FileHeader, ProgramHeader};

/// The note's owner and type (`src/machine/needed_memory.rs`).
const OWNER: &[u8] = b"pagemark";
const KIND: u32 = 1;

/// What an image needs, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NeededMemory {
    /// For its segments.
    pub own: u64,
    /// Free beside them.
    pub free: u64,
}

impl NeededMemory {
    /// What the image in this file says; none where the file cannot be read or is no ELF file of 64 bits, or has no such note.
    #[must_use]
    pub fn read(image: &Path) -> Option<Self> {
        Self::parse(&std::fs::read(image).ok()?)
    }

    fn parse(elf: &[u8]) -> Option<Self> {
        let endian = LittleEndian;
        let header = FileHeader64::<LittleEndian>::parse(elf).ok()?;
        let segments = header.program_headers(endian, elf).ok()?;
        let own = segments
            .iter()
            .filter(|segment| segment.p_type(endian) == PT_LOAD)
            .map(|segment| segment.p_memsz(endian))
            .fold(0, u64::saturating_add);
        let mut notes = segments
            .iter()
            .filter_map(|segment| segment.notes(endian, elf).ok().flatten());
        let free = notes.find_map(|mut notes| {
            // A note that is cut off ends the segment's.
            while let Ok(Some(note)) = notes.next() {
                if note.name() == OWNER && note.n_type(endian).0 == KIND {
                    return note.desc().try_into().map(u64::from_le_bytes).ok();
                }
            }
            None
        })?;
        Some(Self { own, free })
    }

    /// All of it, with what a PC takes from its RAM: 384 KiB below 1 MiB that no memory map lists, and 128 KiB that firmware keeps.
    #[must_use]
    pub fn total(self) -> u64 {
        const PC: u64 = 512 << 10;
        self.own.saturating_add(self.free).saturating_add(PC)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An ELF file with these program headers (type, offset, bytes in the file, bytes in memory), and `contents` behind them.
    fn elf(segments: &[(u32, u64, u64, u64)], contents: &[u8]) -> Vec<u8> {
        let mut elf = vec![0; 64];
        elf[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
        elf[32] = 64;
        elf[54] = 56;
        elf[56] = segments.len() as u8;
        for (kind, offset, in_file, in_memory) in segments {
            let mut header = [0; 56];
            header[..4].copy_from_slice(&kind.to_le_bytes());
            for (at, value) in [(8, offset), (32, in_file), (40, in_memory), (48, &4)] {
                header[at..][..8].copy_from_slice(&value.to_le_bytes());
            }
            elf.extend(header);
        }
        elf.extend(contents);
        elf
    }

    fn note(owner: &str, kind: u32, value: &[u8]) -> Vec<u8> {
        let mut note = Vec::new();
        for word in [owner.len() as u32 + 1, value.len() as u32, kind] {
            note.extend(word.to_le_bytes());
        }
        for part in [owner.as_bytes(), value] {
            note.extend(part);
            let nul = usize::from(part == owner.as_bytes());
            note.resize((note.len() + nul).next_multiple_of(4), 0);
        }
        note
    }

    #[test]
    fn segments_and_note_are_summed_up() {
        let value = (24_u64 << 20).to_le_bytes();
        let notes = [note("Xen", 18, &[0; 8]), note("pagemark", 1, &value)].concat();
        let size = notes.len() as u64;
        let at = 64 + 3 * 56;
        let image = elf(
            &[(1, 0, 100, 4096), (4, at, size, size), (1, 0, 0, 8192)],
            &notes,
        );
        let (own, free) = (3 * 4096, 24 << 20);
        assert_eq!(
            NeededMemory::parse(&image),
            Some(NeededMemory { own, free })
        );
        assert_eq!(NeededMemory { own, free }.total(), own + free + (512 << 10));
    }

    #[test]
    fn nothing_is_made_up_where_the_file_does_not_say() {
        let value = (24_u64 << 20).to_le_bytes();
        for notes in [
            note("Xen", 18, &value),
            note("pagemark", 2, &value),
            note("pagemark", 1, &value[..4]),
            note("pagemark", 1, &value)[..20].to_vec(),
        ] {
            let size = notes.len() as u64;
            let at = 64 + 56;
            assert_eq!(
                NeededMemory::parse(&elf(&[(4, at, size, size)], &notes)),
                None
            );
        }
        assert_eq!(NeededMemory::parse(b"not ELF"), None);
        assert_eq!(NeededMemory::read(Path::new("/no image")), None);
    }
}
