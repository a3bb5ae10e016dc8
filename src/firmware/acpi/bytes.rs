//! Little-endian numbers at offsets of a table, which need not be aligned, `None` beyond its end; and checksums.

fn array<const N: usize>(table: &[u8], at: usize) -> Option<[u8; N]> {
    table.get(at..)?.first_chunk().copied()
}

pub(super) fn u8_at(table: &[u8], at: usize) -> Option<u8> {
    table.get(at).copied()
}

pub(super) fn u16_at(table: &[u8], at: usize) -> Option<u16> {
    array(table, at).map(u16::from_le_bytes)
}

pub(super) fn u32_at(table: &[u8], at: usize) -> Option<u32> {
    array(table, at).map(u32::from_le_bytes)
}

pub(super) fn u64_at(table: &[u8], at: usize) -> Option<u64> {
    array(table, at).map(u64::from_le_bytes)
}

/// What the bytes add up to; 0 if their checksum is good.
pub(super) fn sum(bytes: &[u8]) -> u8 {
    bytes
        .iter()
        .fold(0, |sum: u8, &byte| sum.wrapping_add(byte))
}
