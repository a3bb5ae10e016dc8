//! Reads QR codes from pictures of a screen: screenshots, photographs, frames of a film.
//!
//! ```text
//! picture -> dark and light -> marks in the corners (finder) -> small marks within, one after the other (code)
//!         -> a perspective and a lens that fit to them all (map) -> brightness of each module -> bits -> error correction (rqrr)
//! ```
//!
//! A photograph of a screen is turned, bent by the lens, uneven in light and blurred. A reader of labels takes three corners and a
//! perspective, and is then off by whole modules in a code of 137 modules a side; the small marks, 20 to 30 modules apart, are what
//! keeps this one on the modules. The standard is ISO/IEC 18004. No picture makes it panic.

#[cfg(feature = "camera")]
pub mod camera;
mod code;
mod finder;
mod map;
mod pattern;

use image::GrayImage;
use image::imageops::{FilterType, blur, resize};

/// What the codes of a picture hold, each as soon as it is read; the same one may come several times, as the picture is looked at in
/// several ways, the usual one first. A caller that has what it needs stops iterating.
pub fn codes(picture: &GrayImage) -> impl Iterator<Item = Vec<u8>> {
    let looks = LOOKS.into_iter().filter_map(|look| look(picture));
    looks.flat_map(|looked| {
        let groups = finder::groups(&looked).into_iter();
        groups.filter_map(move |group| code::read(&looked, &group))
    })
}

/// Ways to look at a picture. `None` where one is of no use.
const LOOKS: [fn(&GrayImage) -> Option<GrayImage>; 5] = [
    // A photograph has far more pixels than modules, and much noise.
    |picture| (picture.width().max(picture.height()) > LARGE).then(|| scaled(picture, 1, 2))?,
    |picture| blurred(picture, 0.8),
    // Modules of few pixels.
    |picture| scaled(picture, 2, 1),
    |picture| blurred(picture, 2.0),
    |picture| scaled(picture, 1, 3),
];

/// Pixels of the longer side of a picture that is a large one.
const LARGE: u32 = 2600;
/// Fewest pixels of a side that are looked at, and most.
const SIDES: std::ops::RangeInclusive<u32> = 60..=5000;

fn is_of_use(width: u32, height: u32) -> bool {
    SIDES.contains(&width) && SIDES.contains(&height)
}

fn scaled(picture: &GrayImage, by: u32, of: u32) -> Option<GrayImage> {
    let side = |side: u32| u32::try_from(u64::from(side) * u64::from(by) / u64::from(of)).ok();
    let (width, height) = (side(picture.width())?, side(picture.height())?);
    is_of_use(width, height).then(|| resize(picture, width, height, FilterType::Triangle))
}

fn blurred(picture: &GrayImage, by: f32) -> Option<GrayImage> {
    is_of_use(picture.width(), picture.height()).then(|| blur(picture, by))
}
