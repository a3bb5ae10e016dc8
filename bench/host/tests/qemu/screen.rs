//! The log on a screen, for somebody without a serial cable: what a picture of it shows, and how the framebuffer is mapped.

use std::time::Duration;

use noto_sans_mono_bitmap::{FontWeight, RasterHeight, get_raster, get_raster_width};
use pagemark_host::image::MenuEntry;
use pagemark_host::log::{Log, read};
use pagemark_host::run::Boot;
use pagemark_record::{Access, Area, AreaKind, Hex, MemoryType, Moment};

use super::SHORT;
use super::boots::{grub, grub_from};
use super::watched::Watched;

const WEIGHT: FontWeight = FontWeight::Regular;
const HEIGHT: RasterHeight = RasterHeight::Size16;
/// Where QEMU's VGA card has its memory, with BIOS and with UEFI.
const CARDS: [u64; 2] = [0xfd00_0000, 0xc000_0000];

/// A picture as `screendump` writes it.
struct Picture {
    width: usize,
    height: usize,
    /// Red, green and blue of each pixel.
    pixels: Vec<u8>,
}

impl Picture {
    fn of_ppm(bytes: &[u8]) -> Self {
        let mut lines = bytes.splitn(4, |&byte| byte == b'\n');
        let mut line = || lines.next().unwrap();
        assert_eq!(line(), b"P6");
        let sides = String::from_utf8(line().to_vec()).unwrap();
        let (width, height) = sides.split_once(' ').unwrap();
        assert_eq!(line(), b"255");
        Picture {
            width: width.parse().unwrap(),
            height: height.parse().unwrap(),
            pixels: line().to_vec(),
        }
    }

    /// The text that it shows, line by line.
    fn text(&self) -> Vec<String> {
        let width = get_raster_width(WEIGHT, HEIGHT);
        let rows = self.height / HEIGHT.val();
        let line = |row| {
            let characters = (0..self.width / width).map(|column| self.character(row, column));
            characters.collect::<String>().trim_end().to_owned()
        };
        (0..rows).map(line).collect()
    }

    /// The character whose glyph stands there, in white on black.
    fn character(&self, row: usize, column: usize) -> char {
        let shows = |&character: &char| {
            let glyph = get_raster(character, WEIGHT, HEIGHT).unwrap();
            let (left, top) = (column * glyph.width(), row * glyph.height());
            glyph.rows().enumerate().all(|(y, line)| {
                let first = ((top + y) * self.width + left) * 3;
                let pixels = self.pixels[first..].chunks(3);
                line.iter()
                    .zip(pixels)
                    .all(|(&grey, pixel)| pixel == [grey; 3])
            })
        };
        (' '..='~').find(shows).unwrap_or('\u{fffd}')
    }
}

/// Boots with a screen and no way out, takes a picture of the screen when the log is over, and returns the log's bytes and what
/// the picture shows.
fn watched(boot: &Boot) -> (Vec<u8>, Vec<String>) {
    let mut watched = Watched::start(boot, [1024, 768], &["-serial", "chardev:com1"]);
    let log = watched.heard();
    // What the last record says is drawn behind it.
    std::thread::sleep(Duration::from_secs(2));
    let picture = watched.picture();
    let text = Picture::of_ppm(&std::fs::read(picture).unwrap()).text();
    (log, text)
}

/// The framebuffer's area, the only one of a device that is there from start to end.
fn area(log: &Log) -> Area {
    let of = |moment| {
        let mut infos = log.vmallocinfo.iter();
        let info = infos.find(|info| info.moment == moment).unwrap();
        let devices = info.areas.iter();
        let mut devices = devices.filter(|area| area.kind == AreaKind::Ioremap);
        let area = *devices.next().unwrap();
        assert_eq!(devices.next(), None);
        area
    };
    assert_eq!(of(Moment::Start), of(Moment::End));
    of(Moment::Start)
}

#[test]
fn the_whole_run_is_seen_through_a_write_combining_mapping() {
    for uefi in [false, true] {
        let (boot, _folder) = grub(&SHORT, uefi);
        let (log, text) = watched(&boot);
        let log = read(&log).unwrap();
        let card = CARDS[usize::from(uefi)];
        let area = area(&log);
        let start = area.start.0;
        assert_eq!(
            area,
            Area {
                start: Hex(start),
                // 1,024 by 768 pixels of 4 bytes are 768 pages, and a guard page.
                end: Hex(start + 769 * 4096),
                pages: 768,
                kind: AreaKind::Ioremap,
                access: Access::ReadWrite,
                memory_type: MemoryType::WriteCombining,
                huge: false,
                physical: Some(Hex(card)),
            }
        );
        let notice = format!("screen: 1024 by 768 pixels of 32 bits at {card:#x}");
        assert!(log.notices.contains(&notice), "{:?}", log.notices);
        if !uefi {
            // Clearing the screen and drawing on it is a part of them.
            let instructions = log.boot.as_ref().unwrap().ticks;
            assert!(instructions <= 20_000_000, "{instructions}");
        }
        let shown = |start: &str| text.iter().any(|line| line.starts_with(start));
        for start in [
            &format!("pagemark {}, suite quick", log.start.revision),
            "log: COM1, ",
            &notice,
            "control/empty ",
            "control/nops=1000 ",
        ] {
            assert!(shown(start), "{start} in {text:#?}");
        }
        let last = text.iter().rfind(|line| !line.is_empty());
        assert_eq!(last.unwrap(), "verdict: pass", "{text:#?}");
    }
}

/// By the entry for a BIOS that cannot set a mode; the runs in Bochs, whose BIOS is such a one, start by it, too.
#[test]
fn the_menus_second_entry_leaves_the_screen_alone() {
    let (boot, _folder) = grub_from(MenuEntry::NoScreen, &SHORT, false);
    let (log, text) = watched(&boot);
    let log = read(&log).unwrap();
    // The screen of characters, as the BIOS left it.
    let notice =
        "screen: the loader's framebuffer is of no use: it has no pixels of red, green and blue";
    assert!(
        log.notices.iter().any(|message| message == notice),
        "{:?}",
        log.notices
    );
    let mut areas = log.vmallocinfo.iter().flat_map(|info| &info.areas);
    assert!(areas.all(|area| area.memory_type != MemoryType::WriteCombining));
    assert_eq!(log.errors, [""; 0]);
    assert!(
        !text.iter().any(|line| line.contains("verdict")),
        "{text:#?}"
    );
}

#[test]
fn a_word_that_cannot_be_followed_is_reported_on_the_screen() {
    let (boot, _folder) = grub(&["layout=narrow"], false);
    let (log, text) = watched(&boot);
    let error = &read(&log).unwrap().errors[0];
    assert!(text.contains(&format!("error: {error}")), "{text:#?}");
    assert!(text.contains(&"verdict: error".to_owned()), "{text:#?}");
}

/// The hardest one: on a stack of exceptions, which is small.
#[test]
fn a_panic_is_reported_on_the_screen() {
    let (boot, _folder) = grub(&["suite=quick", "provoke=guard-page"], false);
    let (_, text) = watched(&boot);
    let panic = text.iter().position(|line| line.starts_with("panic at "));
    let message = text[panic.unwrap_or_else(|| panic!("{text:#?}"))..].concat();
    assert!(message.contains("ran into its guard page"), "{text:#?}");
    assert!(message.contains(" 0xffffffffc0"), "{text:#?}");
}
