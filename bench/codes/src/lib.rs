//! A log as a loop of two-dimensional codes: how it is packed, and how it is split into frames of which some may be missed.
//!
//! ```text
//! log -> pack -> blocks of one size -> with parity blocks (erasure) -> frames with header and CRC-32 -> QR codes
//! ```
//!
//! The image writes frames, and the host tool reads them; both go by this crate. Nothing here allocates, and no arithmetic depends
//! on the machine. A frame says all that is needed to put the log together, so frames can be read in any order, and as many of them
//! as there are blocks of data suffice, whichever they are.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

mod erasure;
mod frame;
mod model;
mod pack;

pub use frame::{FrameError, Frames, Header, MAX_FRAMES, OVERHEAD, recover};
pub use model::WORDS as MODEL_WORDS;
pub use pack::{Full, PRIMER, Packing, pack, unpack};

/// CRC-32 of a text or a frame (ISO-HDLC: the one of Ethernet, zip and PNG).
pub fn crc32(bytes: &[u8]) -> u32 {
    const CRC_32: crc::Crc<u32> = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC);
    CRC_32.checksum(bytes)
}
