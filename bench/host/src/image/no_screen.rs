//! The image for a loader that had better leave the screen alone: without the request for a framebuffer.
//!
//! The request is a tag of the multiboot2 header (specification 2.0, 3.1.10). GRUB obeys it before it looks at `gfxpayload`, so on a
//! BIOS whose VESA extension takes GRUB down when it sets a mode, no setting of GRUB helps: the tag has to go.

use anyhow::{Context, Result};
use multiboot2_header::{HEADER_SEARCH_LIMIT, Header, HeaderTagType, MAGIC, Multiboot2BasicHeader};
use object::pod::bytes_of_slice_mut;

/// Tags lie on multiples of this, in bytes.
const ALIGN: usize = 8;

/// Takes the request for a framebuffer out of an image's header; the tags behind it move up.
pub fn without_screen(mut elf: Vec<u8>) -> Result<Vec<u8>> {
    // Words, as the parser wants the header where it can be read in place.
    let searched = elf.len().min(HEADER_SEARCH_LIMIT);
    let mut words = vec![0u64; searched.div_ceil(ALIGN)];
    let bytes = bytes_of_slice_mut(&mut words);
    bytes[..searched].copy_from_slice(&elf[..searched]);
    let (header, start) = Header::find_header(bytes).context("no multiboot2 header")?;

    let fixed = size_of::<Multiboot2BasicHeader>();
    let old = &bytes[start..][..header.length() as usize];
    let mut new = old[..fixed].to_vec();
    let mut at = fixed;
    for tag in header.iter().map(|tag| tag.header()) {
        let next = at + (tag.size() as usize).next_multiple_of(ALIGN);
        if tag.typ() != HeaderTagType::Framebuffer {
            new.extend(&old[at..next]);
        }
        at = next;
    }
    let length = new.len() as u32;
    let checksum = Header::calc_checksum(MAGIC, header.arch(), length);
    new[8..12].copy_from_slice(&length.to_le_bytes());
    new[12..16].copy_from_slice(&checksum.to_le_bytes());
    new.resize(old.len(), 0);
    elf[start..][..new.len()].copy_from_slice(&new);
    Ok(elf)
}

#[cfg(test)]
mod tests {
    use super::*;
    use multiboot2_header::HeaderTagISA;

    const FRAMEBUFFER: (u16, &[u32]) = (5, &[1024, 768, 32]);
    const CONSOLE: (u16, &[u32]) = (4, &[3]);
    const END: (u16, &[u32]) = (0, &[]);

    /// A file with a header of these tags: types, and words of contents.
    fn image(tags: &[(u16, &[u32])]) -> Vec<u8> {
        let mut bytes = vec![0; 16];
        for (kind, words) in tags {
            bytes.extend(u32::from(*kind).to_le_bytes());
            bytes.extend((8 + 4 * words.len() as u32).to_le_bytes());
            bytes.extend(words.iter().flat_map(|word| word.to_le_bytes()));
            bytes.resize(bytes.len().next_multiple_of(ALIGN), 0);
        }
        let length = bytes.len() as u32;
        let checksum = Header::calc_checksum(MAGIC, HeaderTagISA::I386, length);
        for (at, word) in [MAGIC, 0, length, checksum].iter().enumerate() {
            bytes[4 * at..][..4].copy_from_slice(&word.to_le_bytes());
        }
        [&[0x7f; 64][..], &bytes].concat()
    }

    #[test]
    fn only_the_framebuffers_tag_goes() {
        let whole = image(&[FRAMEBUFFER, CONSOLE, END]);
        let less = without_screen([&whole[..], b"behind"].concat()).unwrap();
        let mut wanted = image(&[CONSOLE, END]);
        wanted.resize(whole.len(), 0);
        wanted.extend(b"behind");
        assert_eq!(less, wanted);
        assert_eq!(without_screen(less.clone()).unwrap(), less);
    }

    #[test]
    fn what_is_no_header_is_reported() {
        let message = |elf: &[u8]| format!("{:#}", without_screen(elf.to_vec()).unwrap_err());
        let whole = image(&[FRAMEBUFFER, END]);
        for wrong in [
            &b"not an image"[..],
            &whole[..whole.len() - 20],
            &image(&[FRAMEBUFFER]),
        ] {
            assert!(
                message(wrong).starts_with("no multiboot2 header: "),
                "{}",
                message(wrong)
            );
        }
    }
}
