//! The framebuffer that the loader set up: where its pixels lie and what one is made of. Whatever the loader says, a
//! [`Framebuffer`] is one whose pixels all lie inside [`Framebuffer::bytes`], aligned if they are words.

use core::fmt;

use crate::mm::address::PhysAddr;

/// Most pixels of a side that are believed.
const MAX_SIDE: u32 = 1 << 14;

/// The bits of a pixel that one colour has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Channel {
    /// The lowest of them.
    pub position: u8,
    /// How many: 1 to 8.
    pub bits: u8,
}

/// Pixels of 2, 3 or 4 bytes, line by line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Framebuffer {
    address: PhysAddr,
    pitch: u32,
    width: u32,
    height: u32,
    depth: u8,
    channels: [Channel; 3],
}

/// Why nothing can be drawn in what the loader set up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FramebufferError {
    /// The loader's tag is shorter than its kind requires; its size in bytes.
    ShortTag(u32),
    /// Not pixels of red, green and blue, but a palette's, characters, or something newer.
    NotRgb,
    /// Bits of a pixel that are neither 15 or 16, 24 nor 32.
    Depth(u8),
    /// No pixels, or more than there can be.
    Size {
        /// Pixels of a line.
        width: u32,
        /// Lines.
        height: u32,
    },
    /// A line is longer than the distance from one to the next, or its pixels are not aligned.
    Pitch {
        /// That distance in bytes.
        pitch: u32,
        /// Pixels of a line.
        width: u32,
    },
    /// A colour has no bits, more than 8, or some outside of its pixel.
    Channel(Channel),
    /// Its pixels are not aligned, or it ends beyond the addresses that there can be.
    Address(PhysAddr),
    /// Registers of a device lie among its pixels.
    Device {
        /// Where it begins.
        address: PhysAddr,
        /// Whose registers.
        what: &'static str,
    },
}

impl fmt::Display for FramebufferError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FramebufferError::ShortTag(bytes) => write!(f, "its tag has only {bytes} bytes"),
            FramebufferError::NotRgb => write!(f, "it has no pixels of red, green and blue"),
            FramebufferError::Depth(depth) => write!(f, "pixels of {depth} bits"),
            FramebufferError::Size { width, height } => {
                write!(f, "{width} by {height} pixels")
            }
            FramebufferError::Pitch { pitch, width } => {
                write!(f, "lines of {width} pixels, {pitch} bytes from one another")
            }
            FramebufferError::Channel(Channel { position, bits }) => {
                write!(f, "a colour of {bits} bits from bit {position} on")
            }
            FramebufferError::Address(address) => write!(f, "it lies at {address}"),
            FramebufferError::Device { address, what } => {
                write!(f, "it lies at {address}, over the registers of {what}")
            }
        }
    }
}

impl core::error::Error for FramebufferError {}

impl Framebuffer {
    /// A framebuffer at `address` with pixels of `depth` bits, `pitch` bytes from line to line, and these bits for red, green and
    /// blue.
    ///
    /// # Errors
    ///
    /// What cannot be.
    pub fn new(
        address: PhysAddr,
        [width, height]: [u32; 2],
        depth: u8,
        pitch: u32,
        channels: [Channel; 3],
    ) -> Result<Self, FramebufferError> {
        if ![15, 16, 24, 32].contains(&depth) {
            return Err(FramebufferError::Depth(depth));
        }
        if !(1..=MAX_SIDE).contains(&width) || !(1..=MAX_SIDE).contains(&height) {
            return Err(FramebufferError::Size { width, height });
        }
        let framebuffer = Framebuffer {
            address,
            pitch,
            width,
            height,
            depth,
            channels,
        };
        let pixel_bytes = framebuffer.pixel_bytes() as u32;
        let is_aligned = |number: u64| {
            !pixel_bytes.is_power_of_two() || number.is_multiple_of(pixel_bytes.into())
        };
        if pitch < width * pixel_bytes || !is_aligned(pitch.into()) {
            return Err(FramebufferError::Pitch { pitch, width });
        }
        for channel in channels {
            let end = u32::from(channel.position) + u32::from(channel.bits);
            if !(1..=8).contains(&channel.bits) || end > u32::from(depth) {
                return Err(FramebufferError::Channel(channel));
            }
        }
        if address.0.checked_add(framebuffer.bytes()).is_none() || !is_aligned(address.0) {
            return Err(FramebufferError::Address(address));
        }
        Ok(framebuffer)
    }

    /// Where it lies.
    #[must_use]
    pub const fn address(&self) -> PhysAddr {
        self.address
    }

    /// Bytes from its first to behind its last line.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.pitch as u64 * self.height as u64
    }

    /// How many bytes from its start a byte of red is, in the first and in the last pixel.
    #[must_use]
    pub const fn ends(&self) -> [u64; 2] {
        let last = (self.height as u64 - 1) * self.pitch as u64
            + (self.width as u64 - 1) * self.pixel_bytes() as u64;
        let red = self.channels[0].position as u64 / 8;
        [red, last + red]
    }

    /// Bytes from one line to the next.
    #[must_use]
    pub const fn pitch(&self) -> usize {
        self.pitch as usize
    }

    /// Pixels of a line.
    #[must_use]
    pub const fn width(&self) -> usize {
        self.width as usize
    }

    /// Lines.
    #[must_use]
    pub const fn height(&self) -> usize {
        self.height as usize
    }

    /// Bytes of a pixel: 2, 3 or 4.
    #[must_use]
    pub const fn pixel_bytes(&self) -> usize {
        self.depth.div_ceil(8) as usize
    }

    /// The pixel of this brightness, from 0, black, to 255, white.
    #[must_use]
    pub fn grey(&self, brightness: u8) -> u32 {
        let of =
            |channel: &Channel| u32::from(brightness >> (8 - channel.bits)) << channel.position;
        self.channels.iter().map(of).fold(0, |all, one| all | one)
    }
}

impl fmt::Display for Framebuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Framebuffer {
            address,
            width,
            height,
            depth,
            ..
        } = self;
        write!(f, "{width} by {height} pixels of {depth} bits at {address}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn channels(bits: [(u8, u8); 3]) -> [Channel; 3] {
        bits.map(|(position, bits)| Channel { position, bits })
    }

    #[test]
    fn greys_have_the_bits_of_their_colours() {
        let at = PhysAddr(0xfd00_0000);
        let eight = channels([(16, 8), (8, 8), (0, 8)]);
        for (depth, bits, white, grey) in [
            (32, eight, 0xff_ffff, 0x80_8080),
            (24, eight, 0xff_ffff, 0x80_8080),
            (16, channels([(11, 5), (5, 6), (0, 5)]), 0xffff, 0x8410),
            (15, channels([(10, 5), (5, 5), (0, 5)]), 0x7fff, 0x4210),
        ] {
            let framebuffer = Framebuffer::new(at, [64, 4], depth, 256, bits).unwrap();
            let greys = [0, 0x80, 0xff].map(|brightness| framebuffer.grey(brightness));
            assert_eq!(greys, [0, grey, white], "{depth}");
            assert_eq!(framebuffer.bytes(), 1024);
        }
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let eight = channels([(16, 8), (8, 8), (0, 8)]);
        let new = |address, sides, depth, pitch, channels| {
            Framebuffer::new(PhysAddr(address), sides, depth, pitch, channels).unwrap_err()
        };
        let size = |width, height| FramebufferError::Size { width, height };
        let pitch = |pitch, width| FramebufferError::Pitch { pitch, width };
        assert_eq!(new(0, [8, 8], 8, 64, eight), FramebufferError::Depth(8));
        assert_eq!(new(0, [0, 8], 32, 64, eight), size(0, 8));
        assert_eq!(new(0, [8, 0], 32, 64, eight), size(8, 0));
        assert_eq!(new(0, [u32::MAX, 8], 32, 64, eight), size(u32::MAX, 8));
        assert_eq!(new(0, [8, 8], 32, 31, eight), pitch(31, 8));
        assert_eq!(new(0, [8, 8], 24, 23, eight), pitch(23, 8));
        assert_eq!(new(0, [8, 8], 32, 34, eight), pitch(34, 8));
        assert_eq!(
            new(2, [8, 8], 32, 32, eight),
            FramebufferError::Address(PhysAddr(2))
        );
        for bad in [(16, 8), (0, 0), (0, 9), (255, 8)] {
            let mut channels = eight;
            channels[1] = Channel {
                position: bad.0,
                bits: bad.1,
            };
            let depth = if bad.0 == 16 { 16 } else { 32 };
            let first = if depth == 16 {
                channels[0]
            } else {
                channels[1]
            };
            let refused = new(0, [8, 8], depth, 64, channels);
            assert_eq!(refused, FramebufferError::Channel(first));
        }
        let end = u64::MAX - 511;
        assert_eq!(
            new(end, [8, 8], 32, 64, eight),
            FramebufferError::Address(PhysAddr(end))
        );
    }
}
