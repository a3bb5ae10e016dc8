//! Framebuffers that loaders name and that are none.

use pagemark_host::run::Ended;
use pagemark_record::ExitCode;

use super::*;

/// What is handed over with such a framebuffer, on this map.
fn tags(made_up: &MadeUp, pointer: u64, map: &Lines, framebuffer: Vec<u8>) -> Vec<u8> {
    [
        map_tag(map),
        framebuffer,
        tag(15, &made_up.memory.bytes(pointer, 36)),
    ]
    .concat()
}

/// A screen that cannot be, and one in RAM that the map gives away, where drawing would write over frames.
#[test]
fn a_framebuffer_that_cannot_be_is_named_and_not_drawn_on() {
    const CARD: u64 = 0xfd00_0000;
    for (address, pitch, bits, message) in [
        (CARD, 100, 32, "lines of 1024 pixels, 100 bytes"),
        (CARD, 8192, 64, "pixels of 64 bits"),
        (0x2000_0000, 4096, 32, "ioremap of 0x20000000, which is RAM"),
        (0x10_0000, 4096, 32, "ioremap of 0x100000, which is RAM"),
        (0xfed0_0000, 4096, 32, "over the registers of"),
        (0xfea0_0000, 8192, 32, "over the registers of"),
        (0xfee0_0000, 4096, 32, "over the registers of"),
        (CARD, 0, 32, "lines of 1024 pixels, 0 bytes"),
        (u64::MAX - 0xfff, 4096, 32, "it lies at 0xfffffffffffff000"),
    ] {
        let (made_up, pointer) = MadeUp::usual();
        let mut screen = address.to_le_bytes().to_vec();
        screen.extend([pitch, 1024, 768].map(u32::to_le_bytes).concat());
        screen.extend([bits, 1, 0, 0, 16, 8, 8, 8, 0, 8]);
        let tags = [
            map_tag(&usual_map()),
            tag(8, &screen),
            tag(15, &made_up.memory.bytes(pointer, 36)),
        ];
        let log = by_multiboot2(made_up, tags.concat(), 0, &SHORT);
        noticed(&log, &[message]);
    }
}

/// ROM below 4 GiB, and nothing at all above.
#[test]
fn a_framebuffer_whose_pixels_keep_nothing_is_no_screen() {
    for address in [0xfffc_0000, 0x1_8000_0000] {
        let framebuffer = framebuffer_tag(address, [1024, 64]);
        let (made_up, pointer) = MadeUp::usual();
        let tags = tags(&made_up, pointer, &usual_map(), framebuffer);
        let log = by_multiboot2(made_up, tags, 0, &SHORT);
        noticed(&log, &[&format!("{address:#x}: its pixels do not keep")]);
    }
}

/// The exit status is all that there is.
#[test]
fn a_run_that_such_a_screen_alone_shows_does_not_pass() {
    for address in [0x2000_0000, 0x1_8000_0000] {
        let framebuffer = framebuffer_tag(address, [1024, 768]);
        let (made_up, pointer) = MadeUp::usual();
        let tags = tags(&made_up, pointer, &usual_map(), framebuffer);
        let words = [&SHORT[..], &["serial=none"]].concat();
        let (boot, _folder) = boot(made_up, &words, Handover::Multiboot2 { tags, slack: 0 });
        let (outcome, finished) = run(&boot);
        let Ended::Status(status) = &finished.ended else {
            panic!("{}", explained(&outcome, &finished))
        };
        assert_eq!(status.code(), Some(ExitCode::Error.qemu_status()));
    }
}

/// Where the map says that the image's memory is reserved, drawing there would write over the image.
#[test]
fn the_image_is_no_screen_and_is_ram_whatever_the_map_says() {
    const IMAGE: u64 = 0x10_0000;
    const BEHIND: u64 = 0x200_0000;
    let mut map = usual_map();
    let place = map.iter().position(|line| line.0 == IMAGE).unwrap();
    let (_, length, kind) = map[place];
    map[place] = (IMAGE, BEHIND - IMAGE, 2);
    map.insert(place + 1, (BEHIND, IMAGE + length - BEHIND, kind));
    let (made_up, pointer) = MadeUp::usual();
    let tags = tags(&made_up, pointer, &map, framebuffer_tag(IMAGE, [1024, 768]));
    let log = by_multiboot2(made_up, tags, 0, &SHORT);
    noticed(
        &log,
        &[
            "memory map: the image lies at 0x100000 to ",
            "ioremap of 0x100000, which is RAM",
        ],
    );
}
