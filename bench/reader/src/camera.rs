//! A camera before a screen: what a picture taken by hand does to what the screen shows.
//!
//! Each pixel of the picture is the mean of rays through it: by the lens's barrel distortion and the perspective of a tilted screen to
//! a point of the screen, whose light is a sum of its pixels. Then come defocus, uneven light, exposure, the sensor's noise and JPEG.

use std::io::Cursor;

use image::codecs::jpeg::JpegEncoder;
use image::imageops::blur;
use image::{GrayImage, ImageFormat, Luma};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// How a picture is taken.
#[derive(Clone, Copy, Debug)]
pub struct Camera {
    /// Pixels of the picture.
    pub pixels: [u32; 2],
    /// How much of the picture's height or width, whichever is tighter, the screen takes.
    pub fill: f64,
    /// Degrees by which the screen is turned about the vertical axis, about the horizontal one, and in the picture.
    pub turn: [f64; 3],
    /// Part by which the lens draws the corners of the picture in.
    pub barrel: f64,
    /// Standard deviation of the defocus, in pixels of the picture.
    pub blur: f64,
    /// What black and white become, of 255.
    pub levels: [f64; 2],
    /// How much darker the picture's right edge is than its left, as a part.
    pub shade: f64,
    /// Standard deviation of the noise, of 255.
    pub noise: f64,
    /// JPEG's quality, 1 to 100; `None` for none.
    pub jpeg: Option<u8>,
}

/// A film of 1,920 by 1,080 by a hand that is rather steady.
pub const FILM: Camera = Camera {
    pixels: [1920, 1080],
    fill: 0.9,
    turn: [3.0, 3.0, 1.0],
    barrel: 0.01,
    blur: 0.7,
    levels: [20.0, 230.0],
    shade: 0.2,
    noise: 4.0,
    jpeg: Some(80),
};

/// A telephone's photograph of twelve million pixels.
pub const PHOTOGRAPH: Camera = Camera {
    pixels: [4000, 3000],
    blur: 1.5,
    ..FILM
};

/// Width of a screen, in units of the distance that it is photographed from.
const NEAR: f64 = 0.8;

impl Camera {
    /// The picture of `screen`. Equal for equal `seed`.
    pub fn picture(&self, screen: &GrayImage, seed: u64) -> GrayImage {
        let [width, height] = self.pixels.map(f64::from);
        let [across, down] = [screen.width(), screen.height()].map(f64::from);
        // Pixels of the picture that a pixel of the screen takes.
        let scale = self.fill * (width / across).min(height / down);
        let distance = across / NEAR;
        let [yaw, pitch, roll] = self.turn.map(f64::to_radians);
        let (roll_sin, roll_cos) = roll.sin_cos();
        let radius = (width * width + height * height).sqrt() / 2.0;
        // The screen is the plane through (0, 0, distance) with these axes.
        let [u, v] = [
            [yaw.cos(), 0.0, yaw.sin()],
            [
                yaw.sin() * pitch.sin(),
                pitch.cos(),
                -yaw.cos() * pitch.sin(),
            ],
        ];
        let normal = cross(u, v);
        let to_screen = |x: f64, y: f64| {
            let (x, y) = (x - width / 2.0, y - height / 2.0);
            let square = (x * x + y * y) / (radius * radius);
            let lens = (1.0 + self.barrel * square) / scale;
            let (x, y) = (x * lens, y * lens);
            let (x, y) = (x * roll_cos + y * roll_sin, y * roll_cos - x * roll_sin);
            // The ray (x, y, distance) meets the plane.
            let ray = [x, y, distance];
            let reach = distance * normal[2] / dot(normal, ray);
            let point = [ray[0] * reach, ray[1] * reach, (reach - 1.0) * distance];
            [dot(point, u) + across / 2.0, dot(point, v) + down / 2.0]
        };
        let light = |[x, y]: [f64; 2]| {
            let inside = x >= 0.0 && y >= 0.0 && x < across && y < down;
            if inside {
                f64::from(screen.get_pixel(x as u32, y as u32).0[0]) / 255.0
            } else {
                0.0
            }
        };
        const RAYS: [f64; 2] = [0.25, 0.75];
        let mut random = StdRng::seed_from_u64(seed);
        let seen = GrayImage::from_fn(self.pixels[0], self.pixels[1], |x, y| {
            let mut sum = 0.0;
            for dy in RAYS {
                for dx in RAYS {
                    sum += light(to_screen(f64::from(x) + dx, f64::from(y) + dy));
                }
            }
            Luma([(sum / 4.0 * 255.0) as u8])
        });
        let mut picture = if self.blur > 0.0 {
            blur(&seen, self.blur as f32)
        } else {
            seen
        };
        for (x, _, pixel) in picture.enumerate_pixels_mut() {
            let [black, white] = self.levels;
            let value = black + (white - black) * f64::from(pixel.0[0]) / 255.0;
            let value = value * (1.0 - self.shade * f64::from(x) / width);
            // Three even distributions make nearly a normal one of deviation 1.
            let noise: f64 = (0..3).map(|_| random.random_range(-1.0..1.0)).sum();
            pixel.0[0] = (value + self.noise * noise).clamp(0.0, 255.0) as u8;
        }
        match self.jpeg {
            None => picture,
            Some(quality) => {
                let mut bytes = Vec::new();
                let encoder = JpegEncoder::new_with_quality(&mut bytes, quality);
                picture.write_with_encoder(encoder).unwrap();
                let read = image::ImageReader::with_format(Cursor::new(bytes), ImageFormat::Jpeg);
                read.decode().unwrap().into_luma8()
            }
        }
    }
}

fn dot(a: [f64; 3], b: [f64; 3]) -> f64 {
    (0..3).map(|axis| a[axis] * b[axis]).sum()
}

fn cross(a: [f64; 3], b: [f64; 3]) -> [f64; 3] {
    let at = |i: usize, j: usize| a[i] * b[j] - a[j] * b[i];
    [at(1, 2), at(2, 0), at(0, 1)]
}
