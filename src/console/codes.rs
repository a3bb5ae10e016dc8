//! The log as a loop of QR codes on the screen, for machines without a serial port: `pagemark scan` reads it from photographs.
//!
//! The screen decides how large a module is and how much a code holds: as much as a camera that sees the whole screen still
//! reads. ISO/IEC 18004 asks for a margin of four modules around a code.

use qrcodegen_no_heap::{Mask, QrCode, QrCodeEcc, QrSegment, Version};

/// Most bytes of a code, and so of a buffer for one.
pub const CODE_BYTES: usize = Version::MAX.buffer_len();

/// Level M: 15 % of a code can be damaged.
const LEVEL: QrCodeEcc = QrCodeEcc::Medium;
/// The data is packed, so that one mask is as good as another.
const MASK: Mask = Mask::new(3);
/// Modules of the margin.
const MARGIN: usize = 4;
/// The largest version that is used as long as a log fits: its modules are still large on a photograph of the whole screen.
const USUAL: u8 = 30;
/// Pixels of a module that a camera needs, and that a very long log has to do with.
const PIXELS: [usize; 2] = [3, 2];

/// How codes are drawn on a screen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shape {
    version: u8,
    /// Pixels of a module.
    scale: usize,
}

impl Shape {
    /// Shapes for a square of `side` pixels: the usual one, and one for very long logs.
    #[must_use]
    pub fn for_side(side: usize) -> [Option<Self>; 2] {
        let largest = |most: u8, pixels: usize| {
            let fits = |&version: &u8| modules(version) * pixels <= side;
            let version = (1..=most).rev().find(fits)?;
            let scale = side / modules(version);
            Some(Shape { version, scale })
        };
        [
            largest(USUAL, PIXELS[0]),
            largest(Version::MAX.value(), PIXELS[1]),
        ]
    }

    /// Pixels of a side, the margin among them.
    #[must_use]
    pub const fn side(&self) -> usize {
        modules(self.version) * self.scale
    }

    /// Bytes that a code of this shape holds. `scratch` is for the search.
    #[must_use]
    pub fn room(&self, scratch: &mut [u8; CODE_BYTES]) -> usize {
        static DATA: [u8; CODE_BYTES] = [0; CODE_BYTES];
        let version = Version::new(self.version);
        let mut fits = |bytes: usize| {
            let segment = QrSegment::make_bytes(&DATA[..bytes]);
            let out = &mut scratch[..];
            QrCode::encode_segments_to_codewords(&[segment], out, LEVEL, version, version, false)
                .is_ok()
        };
        let (mut low, mut high) = (0, version.buffer_len());
        while low < high {
            let middle = (low + high).div_ceil(2);
            if fits(middle) {
                low = middle;
            } else {
                high = middle - 1;
            }
        }
        low
    }

    /// Draws the code of the first `bytes` bytes in `data`: `paint` is given each pixel of the square and whether it is dark. Both
    /// buffers are overwritten.
    pub fn draw(
        &self,
        data: &mut [u8; CODE_BYTES],
        bytes: usize,
        scratch: &mut [u8; CODE_BYTES],
        mut paint: impl FnMut(usize, usize, bool),
    ) -> bool {
        let version = Version::new(self.version);
        let code = QrCode::encode_binary(
            data,
            bytes,
            scratch,
            LEVEL,
            version,
            version,
            Some(MASK),
            false,
        );
        let Ok(code) = code else {
            return false;
        };
        for y in 0..self.side() {
            for x in 0..self.side() {
                // Outside of the code every module is light.
                let [column, row] = [x, y].map(|at| (at / self.scale) as i32 - MARGIN as i32);
                paint(x, y, code.get_module(column, row));
            }
        }
        true
    }
}

/// Modules of a side, the margin among them.
const fn modules(version: u8) -> usize {
    17 + 4 * version as usize + 2 * MARGIN
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;
    use std::vec::Vec;

    #[test]
    fn screens_have_shapes() {
        for (side, usual, long) in [
            (592, (30, 4), (40, 3)),
            (768, (30, 5), (40, 4)),
            (1080, (30, 7), (40, 5)),
            (432, (29, 3), (40, 2)),
            (90, (1, 3), (5, 2)),
        ] {
            let shapes = Shape::for_side(side).map(|shape| shape.map(|it| (it.version, it.scale)));
            assert_eq!(shapes, [Some(usual), Some(long)], "{side}");
            for shape in Shape::for_side(side).into_iter().flatten() {
                assert!(shape.side() <= side);
            }
        }
        assert_eq!(Shape::for_side(40), [None, None]);
    }

    /// ISO/IEC 18004, table 7, level M.
    #[test]
    fn room_is_what_the_standard_says() {
        let mut scratch = [0; CODE_BYTES];
        for (version, bytes) in [(1, 14), (10, 213), (20, 666), (30, 1370), (40, 2331)] {
            let shape = Shape { version, scale: 1 };
            assert_eq!(shape.room(&mut scratch), bytes);
        }
    }

    #[test]
    fn a_code_has_its_margin_and_its_corner() {
        let shape = Shape {
            version: 2,
            scale: 3,
        };
        let side = shape.side();
        let mut dark = vec![true; side * side];
        let (mut data, mut scratch) = ([0x5a; CODE_BYTES], [0; CODE_BYTES]);
        assert!(shape.draw(&mut data, 20, &mut scratch, |x, y, is_dark| {
            dark[y * side + x] = is_dark;
        }));
        // The margin, and rows of the corner: its outer ring, the light one, its core.
        let row = |y: usize| -> Vec<bool> {
            let first = (y * 3 + 1) * side;
            (0..12).map(|x| dark[first + x * 3 + 1]).collect()
        };
        let light = [false; 4];
        assert_eq!(row(3), [false; 12]);
        assert_eq!(row(4), [&light[..], &[true; 7], &[false]].concat());
        let ring = [true, false, false, false, false, false, true, false];
        assert_eq!(row(5), [&light[..], &ring].concat());
        let core = [true, false, true, true, true, false, true, false];
        assert_eq!(row(7), [&light[..], &core].concat());
        assert!(!shape.draw(&mut data, 500, &mut scratch, |_, _, _| {}));
    }
}
