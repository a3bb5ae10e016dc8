//! The count and the CRC-32 of a log's lines, as its `end` record states them.

use crc::{CRC_32_ISO_HDLC, Crc, Digest};

static CRC_32: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);

/// The number of lines and their CRC-32 (ISO-HDLC: the one of Ethernet, zip and PNG).
///
/// It covers every line from the one that carries the `start` record, including it, to the one before the `end` record, of
/// every kind: records, benchmark lines, text, empty lines. Each line is summed up as its bytes and one line feed, whatever
/// the wire ends lines with; carriage returns are no part of it.
pub struct LineSum {
    lines: u64,
    digest: Digest<'static, u32>,
}

impl LineSum {
    /// The sum of no lines.
    pub const fn new() -> Self {
        Self {
            lines: 0,
            digest: CRC_32.digest(),
        }
    }

    /// Adds a piece of the current line, without its line ending.
    pub fn bytes(&mut self, piece: &[u8]) {
        self.digest.update(piece);
    }

    /// Ends the current line.
    pub fn end_line(&mut self) {
        self.digest.update(b"\n");
        self.lines += 1;
    }

    /// Lines ended so far.
    pub const fn lines(&self) -> u64 {
        self.lines
    }

    /// The CRC-32 of all that was added so far.
    pub fn crc32(&self) -> u32 {
        self.digest.clone().finalize()
    }
}

impl Default for LineSum {
    fn default() -> Self {
        Self::new()
    }
}
