//! How much memory the image needs, for itself and, as a note in its ELF file, for the program that starts it.

/// Free memory below which the image does not start, in bytes: the largest case takes 16 MiB, and the allocator's watermarks and the
/// page tables have to fit beside it.
pub const NEEDED_BYTES: u64 = 24 << 20;

/// An ELF note (System V ABI, "Note Section") of owner `pagemark`, type 1: [`NEEDED_BYTES`], little-endian. The host tool refuses to
/// start the image with less.
#[repr(C, align(4))]
struct Note {
    /// Bytes of the name, with its NUL.
    name_bytes: u32,
    value_bytes: u32,
    kind: u32,
    /// The name, padded to a multiple of 4 bytes.
    name: [u8; 12],
    value: [u8; 8],
}

#[used]
#[cfg_attr(target_os = "none", unsafe(link_section = ".note.pagemark"))]
static NOTE: Note = Note {
    name_bytes: 9,
    value_bytes: 8,
    kind: 1,
    name: *b"pagemark\0\0\0\0",
    value: NEEDED_BYTES.to_le_bytes(),
};
