//! Photographs and films of the screens that the image leaves, as a hand takes them.

mod screens;

use image::{GrayImage, Luma};
use pagemark_reader::camera::{Camera, FILM, PHOTOGRAPH};
use pagemark_reader::codes;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use screens::{SCREENS, screen};

/// The number of pictures out of `count` that are not read, taken by cameras that `camera` makes of random numbers.
fn missed(number: u64, mut camera: impl FnMut(&mut StdRng) -> Camera) -> Vec<Camera> {
    let mut random = StdRng::seed_from_u64(17);
    let mut missed = Vec::new();
    for seed in 0..number {
        let (screen, bytes) = screen(SCREENS[seed as usize % SCREENS.len()], seed);
        let camera = camera(&mut random);
        if codes(&camera.picture(&screen, seed)).next() != Some(bytes) {
            missed.push(camera);
        }
    }
    missed
}

/// A camera held by hand: the whole screen is in the picture, and turned by up to 15 degrees either way.
fn by_hand(camera: Camera, random: &mut StdRng) -> Camera {
    Camera {
        fill: random.random_range(0.7..0.85),
        turn: [15.0, 15.0, 8.0].map(|most| random.random_range(-most..most)),
        barrel: random.random_range(-0.02..0.04),
        shade: random.random_range(-0.4..0.4),
        ..camera
    }
}

/// A missed code is no loss, as a quarter of them are there for those; the loop comes round again besides.
#[test]
fn films_by_hand_are_read() {
    let missed = missed(12, |random| Camera {
        blur: random.random_range(0.5..1.3),
        noise: random.random_range(2.0..12.0),
        jpeg: Some(random.random_range(50..90)),
        ..by_hand(FILM, random)
    });
    assert!(missed.len() < 2, "{missed:#?}");
}

#[test]
fn photographs_by_hand_are_read() {
    let missed = missed(4, |random| Camera {
        blur: random.random_range(1.0..3.0),
        noise: random.random_range(2.0..20.0),
        ..by_hand(PHOTOGRAPH, random)
    });
    assert!(missed.is_empty(), "{missed:#?}");
}

/// The same picture on its side, as telephones store them, and upside down.
#[test]
fn pictures_are_read_however_they_lie() {
    let (screen, bytes) = screen(SCREENS[1], 3);
    let picture = FILM.picture(&screen, 3);
    let turned = image::imageops::rotate90(&picture);
    let over = image::imageops::rotate180(&picture);
    for picture in [turned, over] {
        assert_eq!(codes(&picture).next().as_ref(), Some(&bytes));
    }
}

#[test]
fn screenshots_are_read_in_any_scale() {
    for shape in SCREENS
        .into_iter()
        .chain([[300, 200, 1, 3], [1300, 800, 40, 2]])
    {
        let (screen, bytes) = screen(shape, 5);
        assert_eq!(codes(&screen).next(), Some(bytes), "{shape:?}");
    }
}

#[test]
fn pictures_of_nothing_have_no_codes() {
    let mut random = StdRng::seed_from_u64(1);
    let noise = GrayImage::from_fn(640, 480, |_, _| Luma([random.random()]));
    let checks = GrayImage::from_fn(640, 480, |x, y| {
        Luma([if (x / 3 + y / 3) % 2 == 0 { 0 } else { 255 }])
    });
    for picture in [
        noise,
        checks,
        GrayImage::new(1, 1),
        GrayImage::new(0, 0),
        GrayImage::new(4000, 1),
    ] {
        assert_eq!(codes(&picture).next(), None);
    }
}
