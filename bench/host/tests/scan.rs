//! Codes on screenshots, in any order and with some missed.

use image::{GrayImage, Luma};
use pagemark_codes::{Frames, MODEL_WORDS, PRIMER, Packing, crc32, pack};
use pagemark_host::scan::{Scan, ScanError};
use qrcodegen_no_heap::{Mask, QrCode, QrCodeEcc, Version};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// A log of this number of lines whose figures do not repeat.
fn log(lines: u32) -> Vec<u8> {
    let mut random = StdRng::seed_from_u64(7);
    let line = |number| {
        let ticks: u32 = random.random_range(100..100_000);
        format!(
            "@pagemark {{\"record\":\"result\",\"case\":\"pt/map/pages={number}\",\"median\":{ticks}}}\n"
        )
    };
    (0..lines).map(line).collect::<String>().into_bytes()
}

/// The screens that a run of the image shows: 1,024 by 768 pixels, a code of version 30 at its right.
fn screens(log: &[u8]) -> Vec<GrayImage> {
    const SCALE: u32 = 5;
    let version = Version::new(30);
    let text = [PRIMER, log].concat();
    let mut packed = vec![0; text.len()];
    let used = pack(&text, &mut vec![0; MODEL_WORDS], &mut packed).unwrap();
    let bytes = log.len() as u32;
    let frames = Frames::new(&packed[..used], Packing::Modelled, crc32(log), bytes, 1370).unwrap();
    let screen = |number| {
        let (mut data, mut scratch) = (
            [0; Version::MAX.buffer_len()],
            [0; Version::MAX.buffer_len()],
        );
        let used = frames.write(number, &mut data).len();
        let code = QrCode::encode_binary(
            &mut data,
            used,
            &mut scratch,
            QrCodeEcc::Medium,
            version,
            version,
            Some(Mask::new(3)),
            false,
        );
        let code = code.unwrap();
        GrayImage::from_fn(1024, 768, |x, y| {
            let side = 145 * SCALE;
            let (left, top) = (1024 - side, (768 - side) / 2);
            if x < left || !(top..top + side).contains(&y) {
                return Luma([0]);
            }
            let [column, row] = [x - left, y - top].map(|at| (at / SCALE) as i32 - 4);
            Luma([if code.get_module(column, row) { 0 } else { 255 }])
        })
    };
    (0..frames.count()).map(screen).collect()
}

#[test]
fn screenshots_give_the_log_in_any_order_and_as_soon_as_there_are_enough() {
    let log = log(1200);
    let screens = screens(&log);
    let mut scan = Scan::default();
    for (seen, screen) in screens.iter().rev().enumerate() {
        assert_eq!(scan.is_whole(), seen >= screens.len() - 2);
        scan.picture(screen);
        scan.picture(screen);
    }
    assert_eq!(scan.log().unwrap(), log);
}

#[test]
fn what_is_missing_is_named() {
    let screens = screens(&log(1200));
    let mut scan = Scan::default();
    assert!(matches!(scan.log(), Err(ScanError::None { .. })));
    scan.picture(&screens[1]);
    let error = scan.log().unwrap_err();
    let needed = screens.len() - 2;
    assert_eq!(
        error.to_string(),
        format!(
            "the log has {needed} codes, of which 1 were found (numbers 2); any {needed} of its codes suffice"
        )
    );
}
