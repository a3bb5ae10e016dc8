//! Screens as the image leaves them: words on the left, a code of its shape at the right edge.

use image::{GrayImage, Luma};
use qrcodegen_no_heap::{Mask, QrCode, QrCodeEcc, Version};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// Width and height of a screen, the version of its code, and pixels of a module.
pub const SCREENS: [[u32; 4]; 4] = [
    [800, 600, 30, 4],
    [1024, 768, 30, 5],
    [1920, 1080, 30, 7],
    // For logs that are too long for the usual version.
    [1024, 768, 40, 4],
];

/// A screen with a code of made-up bytes; and these.
pub fn screen([width, height, version, scale]: [u32; 4], seed: u64) -> (GrayImage, Vec<u8>) {
    let version = Version::new(version as u8);
    let mut random = StdRng::seed_from_u64(seed);
    // What the version holds at level M.
    let used = match version.value() {
        30 => 1370,
        40 => 2331,
        _ => 14,
    };
    let bytes: Vec<u8> = (0..used).map(|_| random.random()).collect();
    let (mut data, mut scratch) = (
        [0; Version::MAX.buffer_len()],
        [0; Version::MAX.buffer_len()],
    );
    data[..used].copy_from_slice(&bytes);
    let (level, mask) = (QrCodeEcc::Medium, Some(Mask::new(3)));
    let code = QrCode::encode_binary(
        &mut data,
        used,
        &mut scratch,
        level,
        version,
        version,
        mask,
        false,
    );
    let code = code.unwrap();
    let side = (code.size() as u32 + 8) * scale;
    let (left, top) = (width - side, (height - side) / 2);
    let screen = GrayImage::from_fn(width, height, |x, y| {
        if x >= left && (top..top + side).contains(&y) {
            let [column, row] = [x - left, y - top].map(|at| (at / scale) as i32 - 4);
            return Luma([if code.get_module(column, row) { 0 } else { 255 }]);
        }
        // Words, more or less: strokes of letters of 8 by 16 pixels.
        let letter = x < left - 8 && y % 16 > 3 && x % 8 > 1 && (x / 8 + y / 16 * 7) % 9 > 2;
        Luma([if letter && (x * 7 + y * 5 + x / 8 * y / 16) % 3 == 0 {
            255
        } else {
            0
        }])
    });
    (screen, bytes)
}
