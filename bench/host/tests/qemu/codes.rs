//! The log from the screen: pictures of a machine without a serial port give it back.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ::image::GrayImage;
use pagemark_host::log::read;
use pagemark_host::run::{Boot, Door};
use pagemark_host::scan::Scan;
use pagemark_reader::camera::{Camera, FILM};
use tempfile::TempDir;

use super::boots::grub;
use super::firmware::made_up::{
    Handover, MadeUp, framebuffer_tag, map_tag, set_mode, tag, usual_map,
};
use super::pagemark::pagemark;
use super::watched::Watched;
use super::{image, pvh};

/// Takes pictures until they hold a log; returns them.
fn pictures(watched: &mut Watched) -> Vec<PathBuf> {
    let (mut scan, mut pictures) = (Scan::default(), Vec::new());
    let start = Instant::now();
    while !scan.is_whole() {
        assert!(
            start.elapsed() < Duration::from_secs(240),
            "{:?}",
            scan.log()
        );
        std::thread::sleep(Duration::from_millis(300));
        let picture = watched.picture();
        if scan.file(&picture).unwrap().is_some() {
            pictures.push(picture);
        }
    }
    pictures
}

/// What `pagemark scan` makes of the pictures.
fn scanned(pictures: &[PathBuf]) -> Vec<u8> {
    let output = pagemark(&["scan"], pictures);
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{message}");
    output.stdout
}

/// The log behind what firmware and loader wrote, without the CRs of the wire.
fn on_the_wire(serial: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(serial).replace('\r', "");
    let start = text.find("@pagemark {\"record\":\"start\"").expect("a log");
    text.as_bytes()[start..].to_vec()
}

#[test]
fn a_serial_port_and_the_screen_give_the_same_log_to_the_byte() {
    let (boot, _iso) = grub(
        &["suite=quick", "only=control/*,pt/*", "screen=codes"],
        false,
    );
    let mut watched = Watched::start(&boot, [1024, 768], &["-serial", "chardev:com1"]);
    let log = scanned(&pictures(&mut watched));
    assert_eq!(
        String::from_utf8_lossy(&log),
        String::from_utf8_lossy(&on_the_wire(&watched.serial()))
    );
    assert!(read(&log).unwrap().results.len() > 10);
}

/// Where QEMU's VGA card has its pixels, as SeaBIOS places it.
const PIXELS: u64 = 0xfd00_0000;

/// A boot by multiboot2 with a screen of this size, and its file. Unlike GRUB's, it takes the same instructions each time.
fn with_screen(command_line: &[&str], screen: [u32; 2]) -> (Boot, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("screen.elf");
    let (mut made_up, address) = MadeUp::usual();
    made_up.preamble = set_mode(screen);
    let tags = [
        map_tag(&usual_map()),
        framebuffer_tag(PIXELS, screen),
        tag(15, &made_up.memory.bytes(address, 36)),
    ];
    let handover = Handover::Multiboot2 {
        tags: tags.concat(),
        slack: 0,
    };
    made_up.write(&image(), command_line, handover, &file);
    let door = Door::Pvh {
        image: file,
        command_line: vec![],
    };
    (Boot { door, ..pvh(&[]) }, folder)
}

/// A picture of the screen as a hand takes it.
fn by_hand(picture: &Path, seed: u64) -> GrayImage {
    let turns = [[12.0, -8.0, 4.0], [-10.0, 10.0, -5.0], [3.0, 14.0, 8.0]];
    let camera = Camera {
        fill: 0.75,
        turn: turns[seed as usize % turns.len()],
        barrel: 0.02,
        noise: 8.0,
        ..FILM
    };
    let screen = ::image::open(picture).unwrap().into_luma8();
    camera.picture(&screen, seed)
}

/// The whole quick suite without a serial port, and by the same machine with one, are equal to the byte; by screenshots, and by what a
/// camera makes of them.
#[test]
fn without_a_serial_port_the_log_comes_by_the_screen() {
    for screen in [[800, 600], [1024, 768], [1920, 1080]] {
        let (boot, _folder) = with_screen(&["suite=quick"], screen);
        let mut watched = Watched::start(&boot, screen, &[]);
        let pictures = pictures(&mut watched);
        let log = scanned(&pictures);
        let mut filmed = Scan::default();
        for (seed, picture) in pictures.iter().enumerate() {
            filmed.picture(&by_hand(picture, seed as u64));
        }
        assert_eq!(filmed.log().unwrap(), log, "{screen:?}");
        drop(watched);
        let watched = Watched::start(&boot, screen, &["-serial", "chardev:com1"]);
        let heard = on_the_wire(&watched.heard());
        let texts = [&log, &heard].map(|log| String::from_utf8_lossy(log));
        for (scanned, heard) in texts[0].lines().zip(texts[1].lines()) {
            assert_eq!(scanned, heard, "{screen:?}");
        }
        assert!(
            log == heard,
            "{screen:?}: {} and {} bytes",
            log.len(),
            heard.len()
        );
        assert!(read(&log).unwrap().results.len() > 100);
    }
}

/// The longest report, on a small stack.
#[test]
fn a_panic_comes_by_the_screen() {
    let words = ["suite=quick", "provoke=guard-page"];
    let (boot, _iso) = grub(&words, false);
    let mut watched = Watched::start(&boot, [1024, 768], &[]);
    let log = String::from_utf8(scanned(&pictures(&mut watched))).unwrap();
    assert!(
        log.contains("\"record\":\"panic\"") && log.contains("guard page"),
        "{log}"
    );
}

#[test]
fn what_is_no_picture_of_a_log_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (text, empty) = (
        folder.path().join("text.png"),
        folder.path().join("empty.ppm"),
    );
    std::fs::write(&text, "no picture").unwrap();
    std::fs::write(
        &empty,
        [b"P6\n64 64\n255\n".to_vec(), vec![255; 64 * 64 * 3]].concat(),
    )
    .unwrap();
    for (file, message) in [
        (&text, "cannot be read as a picture"),
        (&empty, "no code of a log"),
    ] {
        let output = pagemark(&["scan"], &[file as &Path]);
        assert_eq!(output.status.code(), Some(2));
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(stderr.contains(message), "{stderr}");
    }
}
