//! Frames: what one code holds. All numbers are little-endian.
//!
//! ```text
//! 0   "pgm"                   4   CRC-32 of the log           16  number of the frame, from 0
//! 3   format and packing      8   bytes of the log            17  blocks of data
//!                             12  bytes of the packed log     18  the block
//! end CRC-32 of all before it
//! ```

use crate::crc32;
use crate::erasure;
use crate::pack::Packing;

/// Bytes of a frame that are none of its block's.
pub const OVERHEAD: usize = HEADER + CRC;
/// Most frames of a log, parity among them.
pub const MAX_FRAMES: usize = 256;

const HEADER: usize = 18;
const CRC: usize = 4;
const MAGIC: &[u8; 3] = b"pgm";
/// Upper half of the byte behind the magic; the lower is the packing.
const FORMAT: u8 = 1;

/// What every frame of a log says, and its own number.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Header {
    /// How the log is packed.
    pub packing: u8,
    /// Of the log.
    pub crc32: u32,
    /// Bytes of the log.
    pub bytes: u32,
    /// Bytes of the packed log.
    pub packed: u32,
    /// Which frame this is: those with data come first.
    pub number: u8,
    /// How many those are, 1 to 255.
    pub data: u8,
}

/// Why bytes are no frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FrameError {
    /// They are something else: another code.
    Foreign,
    /// Of a format that came later.
    Format(u8),
    /// Damaged.
    Crc,
    /// What it says cannot be.
    Malformed,
}

impl Header {
    /// Bytes of a block.
    pub fn block_bytes(&self) -> usize {
        (self.packed as usize)
            .div_ceil(usize::from(self.data))
            .max(1)
    }

    /// The same for all frames of one log.
    pub fn of_log(self) -> Self {
        Header { number: 0, ..self }
    }

    /// Splits a frame into what it says and its block.
    ///
    /// # Errors
    ///
    /// Why it is none.
    pub fn read(frame: &[u8]) -> Result<(Self, &[u8]), FrameError> {
        let rest = frame.strip_prefix(MAGIC).ok_or(FrameError::Foreign)?;
        let &kind = rest.first().ok_or(FrameError::Foreign)?;
        if kind >> 4 != FORMAT {
            return Err(FrameError::Format(kind >> 4));
        }
        let body = frame.len().checked_sub(CRC).filter(|&body| body > HEADER);
        let body = body.ok_or(FrameError::Malformed)?;
        let word = |at: usize| {
            let bytes = frame[at..at + 4].try_into().unwrap_or_default();
            u32::from_le_bytes(bytes)
        };
        if word(body) != crc32(&frame[..body]) {
            return Err(FrameError::Crc);
        }
        let header = Header {
            packing: kind & 0xf,
            crc32: word(4),
            bytes: word(8),
            packed: word(12),
            number: frame[16],
            data: frame[17],
        };
        let block = &frame[HEADER..body];
        if header.data == 0 || block.len() != header.block_bytes() {
            return Err(FrameError::Malformed);
        }
        Ok((header, block))
    }
}

/// A packed log as frames.
#[derive(Clone, Copy, Debug)]
pub struct Frames<'p> {
    packed: &'p [u8],
    header: Header,
    parity: usize,
}

impl<'p> Frames<'p> {
    /// The log with this packing, CRC-32 and number of bytes, in frames of at most `room` bytes, a quarter of them and at least two
    /// for those that are missed; `None` if that takes more than [`MAX_FRAMES`].
    pub fn new(
        packed: &'p [u8],
        packing: Packing,
        crc32: u32,
        bytes: u32,
        room: usize,
    ) -> Option<Self> {
        let block = room.checked_sub(OVERHEAD).filter(|&block| block > 0)?;
        let data = packed.len().div_ceil(block).max(1);
        let parity = data.div_ceil(4).max(2);
        let header = Header {
            packing: packing as u8,
            crc32,
            bytes,
            packed: u32::try_from(packed.len()).ok()?,
            number: 0,
            data: u8::try_from(data).ok()?,
        };
        (data + parity <= MAX_FRAMES).then_some(Frames {
            packed,
            header,
            parity,
        })
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.data() + self.parity
    }

    /// How many of them suffice.
    pub fn data(&self) -> usize {
        usize::from(self.header.data)
    }

    /// Bytes of each.
    pub fn frame_bytes(&self) -> usize {
        self.header.block_bytes() + OVERHEAD
    }

    /// Writes frame `number` to the front of `frame`, which has room for [`Self::frame_bytes`], and returns these.
    pub fn write<'f>(&self, number: usize, frame: &'f mut [u8]) -> &'f mut [u8] {
        let size = self.header.block_bytes();
        let frame = &mut frame[..size + OVERHEAD];
        frame[..3].copy_from_slice(MAGIC);
        frame[3] = FORMAT << 4 | self.header.packing;
        let words = [self.header.crc32, self.header.bytes, self.header.packed];
        for (place, word) in frame[4..16].chunks_exact_mut(4).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        frame[16] = number as u8;
        frame[17] = self.header.data;
        let block = &mut frame[HEADER..HEADER + size];
        block.fill(0);
        let mut blocks = self.packed.chunks(size);
        if let Some(parity) = number.checked_sub(self.data()) {
            for (data, bytes) in blocks.enumerate() {
                erasure::add(block, erasure::coefficient(parity as u8, data as u8), bytes);
            }
        } else if let Some(bytes) = blocks.nth(number) {
            block[..bytes.len()].copy_from_slice(bytes);
        }
        let crc = crc32(&frame[..HEADER + size]);
        frame[HEADER + size..].copy_from_slice(&crc.to_le_bytes());
        frame
    }
}

/// Solves for the blocks of data that are missing. `blocks` are `count` blocks, each with its frame's number, of different frames,
/// as many as there are blocks of data; then they are these blocks, in order.
pub fn recover<B: AsMut<[u8]> + AsRef<[u8]>>(blocks: &mut [(u8, B)]) {
    let count = blocks.len();
    // Each block of data that is there goes to its place; then only blocks of parity are elsewhere.
    for place in 0..count {
        while usize::from(blocks[place].0) < count && usize::from(blocks[place].0) != place {
            let home = usize::from(blocks[place].0);
            blocks.swap(place, home);
        }
    }
    let missing = |blocks: &[(u8, B)], place: usize| usize::from(blocks[place].0) != place;
    // From each block of parity the data that is there is taken off: what is left is of those that are missing.
    for place in 0..count {
        if !missing(blocks, place) {
            continue;
        }
        for data in 0..count {
            if !missing(blocks, data) {
                let factor = erasure::coefficient(blocks[place].0 - count as u8, data as u8);
                let (block, known) = two(blocks, place, data);
                erasure::add(block.1.as_mut(), factor, known.1.as_ref());
            }
        }
    }
    // The matrix of what is left, by Gauss and Jordan; as no part of a Cauchy matrix is singular, no pivot is 0 once the pivots
    // before it are dealt with in order.
    let mut matrix = [[0u8; MAX_PARITY]; MAX_PARITY];
    let mut places = [0usize; MAX_PARITY];
    let mut left = 0;
    for place in 0..count {
        if missing(blocks, place) && left < MAX_PARITY {
            places[left] = place;
            left += 1;
        }
    }
    for row in 0..left {
        for column in 0..left {
            let parity = blocks[places[row]].0 - count as u8;
            matrix[row][column] = erasure::coefficient(parity, places[column] as u8);
        }
    }
    for pivot in 0..left {
        let factor = erasure::inverse(matrix[pivot][pivot]);
        for value in &mut matrix[pivot][..left] {
            *value = erasure::multiply(*value, factor);
        }
        for byte in blocks[places[pivot]].1.as_mut() {
            *byte = erasure::multiply(*byte, factor);
        }
        let from = matrix[pivot];
        for row in (0..left).filter(|&row| row != pivot) {
            let factor = matrix[row][pivot];
            erasure::add(&mut matrix[row][..left], factor, &from[..left]);
            let (block, with) = two(blocks, places[row], places[pivot]);
            erasure::add(block.1.as_mut(), factor, with.1.as_ref());
        }
    }
    for &place in &places[..left] {
        blocks[place].0 = place as u8;
    }
}

/// Most blocks of parity: a fifth of all frames.
const MAX_PARITY: usize = MAX_FRAMES / 5 + 1;

/// Two different elements.
fn two<T>(slice: &mut [T], first: usize, second: usize) -> (&mut T, &mut T) {
    if first < second {
        let (left, right) = slice.split_at_mut(second);
        (&mut left[first], &mut right[0])
    } else {
        let (left, right) = slice.split_at_mut(first);
        (&mut right[0], &mut left[second])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proptest::sample::subsequence;
    use std::vec;
    use std::vec::Vec;

    fn frames(packed: &[u8], room: usize) -> Vec<Vec<u8>> {
        let frames = Frames::new(packed, Packing::Stored, 7, 9, room).unwrap();
        let write = |number| {
            let mut frame = vec![0xaa; room];
            frames.write(number, &mut frame).to_vec()
        };
        (0..frames.count()).map(write).collect()
    }

    fn packed(bytes: usize) -> Vec<u8> {
        (0..bytes)
            .map(|byte| (byte * 131 + byte / 7) as u8)
            .collect()
    }

    /// The packed log from these frames.
    fn joined(frames: &[&Vec<u8>]) -> Vec<u8> {
        let read = frames.iter().map(|frame| Header::read(frame).unwrap());
        let mut blocks: Vec<_> = read
            .map(|(header, block)| (header.number, block.to_vec()))
            .collect();
        let header = Header::read(frames[0]).unwrap().0;
        blocks.truncate(usize::from(header.data));
        recover(&mut blocks);
        let mut packed: Vec<u8> = blocks.into_iter().flat_map(|(_, block)| block).collect();
        packed.truncate(header.packed as usize);
        packed
    }

    #[test]
    fn a_frame_says_what_it_is() {
        let frames = frames(&packed(1000), 300);
        // Four blocks of 250 bytes, and two for those that are missed.
        assert_eq!(frames.len(), 6);
        for (number, frame) in frames.iter().enumerate() {
            let (header, block) = Header::read(frame).unwrap();
            let expected = Header {
                packing: 0,
                crc32: 7,
                bytes: 9,
                packed: 1000,
                number: number as u8,
                data: 4,
            };
            assert_eq!((header, block.len()), (expected, 250));
        }
    }

    #[test]
    fn what_is_no_frame_is_refused() {
        let frame = &frames(&packed(100), 200)[0];
        for at in 0..frame.len() {
            let mut damaged = frame.clone();
            damaged[at] ^= 1;
            assert!(Header::read(&damaged).is_err(), "{at}");
            assert!(Header::read(&frame[..at]).is_err(), "{at}");
        }
        assert_eq!(
            Header::read(b"https://example.org"),
            Err(FrameError::Foreign)
        );
        let mut later = frame.clone();
        later[3] = 0x21;
        assert_eq!(Header::read(&later), Err(FrameError::Format(2)));
    }

    #[test]
    fn logs_that_are_too_long_are_none() {
        let packed = [0; 3000];
        let frames = |bytes, room| Frames::new(&packed[..bytes], Packing::Stored, 0, 0, room);
        assert_eq!(frames(2040, OVERHEAD + 10).unwrap().count(), 255);
        assert!(frames(2050, OVERHEAD + 10).is_none());
        assert!(frames(2550, OVERHEAD + 10).is_none());
        assert!(frames(0, OVERHEAD).is_none());
        assert_eq!(frames(0, OVERHEAD + 1).unwrap().count(), 3);
    }

    proptest! {
        #[test]
        fn any_frames_that_are_as_many_as_the_data_suffice(
            (bytes, kept, turn) in (1usize..4000)
                .prop_flat_map(|bytes| {
                    let packed = vec![0; bytes];
                    let frames = Frames::new(&packed, Packing::Stored, 0, 0, 122).unwrap();
                    let all: Vec<_> = (0..frames.count()).collect();
                    (Just(bytes), subsequence(all, frames.data()), any::<usize>())
                })
        ) {
            let packed = packed(bytes);
            let frames = frames(&packed, 122);
            let mut kept: Vec<_> = kept.iter().map(|&number| &frames[number]).collect();
            let turn = turn % kept.len();
            kept.rotate_left(turn);
            prop_assert_eq!(joined(&kept), packed);
        }
    }
}
