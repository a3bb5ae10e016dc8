//! Finds the marks in three corners of a code: along any line through the middle of one, dark and light take turns 1:1:3:1:1.

use image::GrayImage;

use super::map::Point;
use super::pattern::Pattern;

/// A mark in a corner.
#[derive(Clone, Copy, Debug)]
pub struct Finder {
    /// Its middle in pixels.
    pub middle: Point,
    /// Pixels of a module, as its lines say.
    pub module: f64,
    /// How much it looks like one.
    likeness: f64,
}

/// Marks that are looked at closely, and groups of three that are tried.
const MOST_FINDERS: usize = 12;
const MOST_GROUPS: usize = 8;
/// Least likeness.
const LIKE: f64 = 0.5;
/// The side of the square whose mean is between dark and light, as a part of the picture's shorter side.
const WINDOW: u32 = 10;

/// A picture of which each pixel is dark or not.
struct Dark {
    width: usize,
    height: usize,
    pixels: Vec<bool>,
}

impl Dark {
    /// What is darker than what is around it.
    fn of(picture: &GrayImage) -> Self {
        let (width, height) = (picture.width() as usize, picture.height() as usize);
        // Sums of all pixels above and to the left.
        let stride = width + 1;
        let mut sums = vec![0u64; stride * (height + 1)];
        for (y, line) in picture.as_raw().chunks_exact(width).enumerate() {
            let mut sum = 0;
            for (x, &pixel) in line.iter().enumerate() {
                sum += u64::from(pixel);
                sums[(y + 1) * stride + x + 1] = sums[y * stride + x + 1] + sum;
            }
        }
        let half = (width.min(height) / WINDOW as usize / 2).max(8);
        let mut pixels = Vec::with_capacity(width * height);
        for (y, line) in picture.as_raw().chunks_exact(width).enumerate() {
            let (top, bottom) = (y.saturating_sub(half), (y + half).min(height));
            for (x, &pixel) in line.iter().enumerate() {
                let (left, right) = (x.saturating_sub(half), (x + half).min(width));
                let sum = sums[bottom * stride + right] + sums[top * stride + left]
                    - sums[top * stride + right]
                    - sums[bottom * stride + left];
                let count = ((bottom - top) * (right - left)) as u64;
                pixels.push(u64::from(pixel) * count < sum);
            }
        }
        Dark {
            width,
            height,
            pixels,
        }
    }

    fn at(&self, x: usize, y: usize) -> bool {
        self.pixels[y * self.width + x]
    }

    /// The middle and the module of a mark through which a line of pixels goes, in pixels along it: `at` is in its core, and `is_dark`
    /// says what a pixel of the line is, if it is in the picture.
    fn across(at: usize, is_dark: impl Fn(isize) -> Option<bool>) -> Option<(f64, f64)> {
        if is_dark(at as isize) != Some(true) {
            return None;
        }
        // The ends of the core, of the light ring, and of the dark one, on both sides.
        let ends = |step: isize| {
            let (mut place, mut ends) = (at as isize, [0isize; 3]);
            for (end, dark) in ends.iter_mut().zip([true, false, true]) {
                while is_dark(place)? == dark {
                    place += step;
                }
                *end = place;
            }
            Some(ends)
        };
        let (before, behind) = (ends(-1)?, ends(1)?);
        let runs = [
            before[1] - before[2],
            before[0] - before[1],
            behind[0] - before[0] - 1,
            behind[1] - behind[0],
            behind[2] - behind[1],
        ];
        is_mark(runs.map(|run| run as f64)).map(|module| {
            let middle = (before[0] + behind[0]) as f64 / 2.0;
            (middle + 0.5, module)
        })
    }
}

/// The module of a line through a mark, with these lengths of dark and light.
fn is_mark(runs: [f64; 5]) -> Option<f64> {
    let module = runs.iter().sum::<f64>() / 7.0;
    let expected = [1.0, 1.0, 3.0, 1.0, 1.0];
    let fits = |(run, modules): (&f64, f64)| {
        (run - modules * module).abs() <= 0.6 * modules * module + 0.5
    };
    runs.iter().zip(expected).all(fits).then_some(module)
}

/// The marks of a picture, those most like one first.
fn finders(picture: &GrayImage) -> Vec<Finder> {
    let dark = Dark::of(picture);
    // The middle, the module, and how many lines found it.
    let mut found: Vec<(Point, f64, f64)> = Vec::new();
    for y in 0..dark.height {
        let mut ends = [0usize; 5];
        let mut before = false;
        for x in 0..=dark.width {
            let is_dark = x < dark.width && dark.at(x, y);
            if is_dark == before {
                continue;
            }
            before = is_dark;
            // Five runs end where a dark one does.
            if !is_dark {
                let starts = [ends[0], ends[1], ends[2], ends[3], ends[4]];
                let runs: [usize; 5] = std::array::from_fn(|run| {
                    starts.get(run + 1).map_or(x, |&end| end) - starts[run]
                });
                if starts[1] > starts[0]
                    && is_mark(runs.map(|run| run as f64)).is_some()
                    && let Some((middle, module)) = confirmed(&dark, (starts[2] + starts[3]) / 2, y)
                {
                    add(&mut found, middle, module);
                }
            }
            ends.rotate_left(1);
            ends[4] = x;
        }
    }
    found.retain(|&(.., lines)| lines >= 2.0);
    found.sort_by(|a, b| b.2.total_cmp(&a.2));
    found.truncate(8 * MOST_FINDERS);
    let finder = |&(middle, module, _): &(Point, f64, f64)| {
        let likeness = (0..6).map(|turn| {
            let turn = f64::from(turn) * std::f64::consts::PI / 12.0;
            // A line across a turned square is longer than its side.
            let side = module * turn.cos().abs().max(turn.sin().abs());
            let right = [side * turn.cos(), side * turn.sin()];
            Pattern::Finder.likeness(picture, middle, [right, [-right[1], right[0]]], 1)
        });
        Finder {
            middle,
            module,
            likeness: likeness.fold(0.0, f64::max),
        }
    };
    let mut finders: Vec<_> = found.iter().map(finder).collect();
    finders.retain(|finder| finder.likeness > LIKE);
    finders.sort_by(|a, b| b.likeness.total_cmp(&a.likeness));
    finders.truncate(MOST_FINDERS);
    finders
}

/// Whether the lines down and across say that a mark is there, too; its middle and its module.
fn confirmed(dark: &Dark, x: usize, y: usize) -> Option<(Point, f64)> {
    let inside = |at: isize, end: usize| usize::try_from(at).ok().filter(|&at| at < end);
    let (down, module) = Dark::across(y, |y| inside(y, dark.height).map(|y| dark.at(x, y)))?;
    let row = (down as usize).min(dark.height - 1);
    let (across, other) = Dark::across(x, |x| inside(x, dark.width).map(|x| dark.at(x, row)))?;
    let alike = (module / other).max(other / module) < 2.0;
    alike.then_some(([across, down], (module + other) / 2.0))
}

/// Adds what a line found to what lines before it found there.
fn add(found: &mut Vec<(Point, f64, f64)>, middle: Point, module: f64) {
    let near = found
        .iter_mut()
        .find(|(there, size, _)| (there[0] - middle[0]).hypot(there[1] - middle[1]) < 1.5 * size);
    match near {
        Some((there, size, lines)) => {
            for axis in 0..2 {
                there[axis] = (there[axis] * *lines + middle[axis]) / (*lines + 1.0);
            }
            *size = (*size * *lines + module) / (*lines + 1.0);
            *lines += 1.0;
        }
        None => found.push((middle, module, 1.0)),
    }
}

/// Groups of three marks that can be those of one code, clockwise from the one at the bottom left; the likeliest first.
pub fn groups(picture: &GrayImage) -> Vec<[Finder; 3]> {
    let finders = finders(picture);
    let mut groups: Vec<(f64, [Finder; 3])> = Vec::new();
    for (b, corner) in finders.iter().enumerate() {
        for (a, bottom) in finders.iter().enumerate() {
            for (c, right) in finders.iter().enumerate() {
                if a == b || b == c || a == c {
                    continue;
                }
                let edge = |to: &Finder| [0, 1].map(|axis| to.middle[axis] - corner.middle[axis]);
                let (down, across) = (edge(bottom), edge(right));
                let lengths = [down, across].map(|edge| edge[0].hypot(edge[1]));
                let area = across[0] * down[1] - across[1] * down[0];
                let sine = area / (lengths[0] * lengths[1]);
                let modules = [corner.module, bottom.module, right.module];
                let [smallest, largest] = [f64::min, f64::max]
                    .map(|pick| modules.into_iter().reduce(pick).unwrap_or(1.0));
                let unlike = (lengths[0] / lengths[1]).max(lengths[1] / lengths[0]);
                // The smallest code has 14 modules from one mark to the next.
                let large = lengths.iter().all(|length| *length > 10.0 * smallest);
                if sine > 0.7 && largest < 2.0 * smallest && unlike < 1.8 && large {
                    let likeness = corner.likeness + bottom.likeness + right.likeness;
                    groups.push((
                        likeness - (unlike - 1.0) - (1.0 - sine),
                        [*bottom, *corner, *right],
                    ));
                }
            }
        }
    }
    groups.sort_by(|a, b| b.0.total_cmp(&a.0));
    groups.truncate(MOST_GROUPS);
    groups.into_iter().map(|(_, group)| group).collect()
}
