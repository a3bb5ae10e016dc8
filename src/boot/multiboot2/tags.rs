//! The walk over the tags of the boot information.

use multiboot2::{DynSizedStructure, TagHeader, TagType};

use crate::boot::info::{BootComplaint, BootInfo};

/// Bytes in front of the tags, and of a tag before its content; also what both are aligned to.
pub(super) const HEADER: usize = 8;

/// Any tag: its header, and bytes.
pub(super) type AnyTag = DynSizedStructure<TagHeader>;

/// The tags of the boot information, from its first one to the end tag. Loaders reserve more bytes than they fill (kexec-tools
/// 2.0.25), so what lies behind the end tag is nobody's.
pub(super) struct Tags<'m> {
    information: &'m [u8],
    offset: usize,
}

impl<'m> Tags<'m> {
    pub(super) fn of(information: &'m [u8]) -> Self {
        Tags {
            information,
            offset: HEADER,
        }
    }

    /// The next tag and its offset; `None` at the end, or where they end too early, which is a complaint.
    pub(super) fn next(&mut self, info: &mut BootInfo<'_>) -> Option<(usize, &'m AnyTag)> {
        let offset = self.offset;
        let rest = self.information.get(offset..).unwrap_or(&[]);
        let Some((kind, size)) = rest.split_first_chunk().and_then(|(&kind, rest)| {
            let size = *rest.first_chunk()?;
            Some((u32::from_le_bytes(kind), u32::from_le_bytes(size)))
        }) else {
            info.complaints.push(BootComplaint::NoEndTag);
            return None;
        };
        if kind == TagType::End.val() {
            return None;
        }
        let padded = (size as usize).next_multiple_of(HEADER);
        let tag = rest
            .get(..padded)
            .filter(|_| size as usize >= HEADER)
            .and_then(|bytes| AnyTag::ref_from_slice(bytes).ok());
        if tag.is_none() {
            info.complaints
                .push(BootComplaint::Tag { offset, kind, size });
        }
        self.offset += padded;
        Some((offset, tag?))
    }
}
