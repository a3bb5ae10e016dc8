//! How much a place in a picture looks like a pattern of modules.

use image::GrayImage;

use super::map::Point;

/// The brightness of a picture between its pixels; beyond its edges it is that of the edge.
pub fn brightness(picture: &GrayImage, [x, y]: Point) -> f64 {
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let x = (x - 0.5).clamp(0.0, (width - 1) as f64);
    let y = (y - 0.5).clamp(0.0, (height - 1) as f64);
    let (left, top) = (x as usize, y as usize);
    let (right, bottom) = ((left + 1).min(width - 1), (top + 1).min(height - 1));
    let (dx, dy) = (x - left as f64, y - top as f64);
    let pixels = picture.as_raw();
    let at = |x: usize, y: usize| f64::from(pixels[y * width + x]);
    let upper = at(left, top) * (1.0 - dx) + at(right, top) * dx;
    let lower = at(left, bottom) * (1.0 - dx) + at(right, bottom) * dx;
    upper * (1.0 - dy) + lower * dy
}

/// Concentric rings of modules around a dark one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pattern {
    /// The mark in a corner, with the light ring around it: 9 modules a side.
    Finder,
    /// The small mark within a code: 5 modules a side.
    Alignment,
}

impl Pattern {
    /// Modules from the middle to the outermost ring.
    fn reach(self) -> i32 {
        match self {
            Self::Finder => 4,
            Self::Alignment => 2,
        }
    }

    /// Whether the ring `ring` modules from the middle is light.
    fn is_light(self, ring: i32) -> bool {
        match self {
            Self::Finder => ring == 2 || ring == 4,
            Self::Alignment => ring == 1,
        }
    }

    /// How alike the picture is around `middle`, where `axes` are pixels from a module to the next to the right and down: 1 is
    /// equal but for brightness and contrast, 0 is no likeness. A module is looked at in `fine` by `fine` places.
    pub fn likeness(
        self,
        picture: &GrayImage,
        middle: Point,
        [right, down]: [Point; 2],
        fine: i32,
    ) -> f64 {
        let reach = self.reach();
        let (mut count, mut sum, mut squares) = (0.0, 0.0, 0.0);
        let (mut light, mut light_sum) = (0.0, 0.0);
        let step = 1.0 / f64::from(fine);
        for row in -reach..=reach {
            for column in -reach..=reach {
                let is_light = self.is_light(row.abs().max(column.abs()));
                for place in 0..fine * fine {
                    let [dx, dy] =
                        [place % fine, place / fine].map(|at| (f64::from(at) + 0.5) * step - 0.5);
                    let (u, v) = (f64::from(column) + dx, f64::from(row) + dy);
                    let value = brightness(
                        picture,
                        [0, 1].map(|axis| middle[axis] + u * right[axis] + v * down[axis]),
                    );
                    count += 1.0;
                    sum += value;
                    squares += value * value;
                    if is_light {
                        light += 1.0;
                        light_sum += value;
                    }
                }
            }
        }
        // The correlation of brightness with a pattern of two values.
        let spread = squares - sum * sum / count;
        let pattern = light * (count - light) / count;
        let both = light_sum - sum * light / count;
        // A place without contrast is like nothing.
        if spread < 4.0 * count {
            return 0.0;
        }
        both / (spread * pattern).sqrt()
    }
}
