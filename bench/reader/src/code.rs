//! Reads a code of a picture: from the marks in its corners along the small marks within it, until a [`Map`] fits to them all; then each
//! module is looked at where the map says, and compared with what is around it. ISO/IEC 18004 says where the marks are.

use image::GrayImage;

use super::finder::Finder;
use super::map::{Map, Pair, Point};
use super::pattern::{Pattern, brightness};

/// Versions of codes.
const VERSIONS: std::ops::RangeInclusive<usize> = 1..=40;
/// Least likeness of a mark within a code, and of them all in the mean.
const LIKE: f64 = 0.55;
/// How far around the place where it should be a mark is looked for, in modules.
const AROUND: i32 = 3;
/// How much of their neighbours' light is taken off modules, one after the other: 0 for a sharp picture.
const SHARPEN: [f64; 4] = [0.0, 0.12, 0.25, 0.4];

/// What the code with these marks in its corners holds.
pub fn read(picture: &GrayImage, group: &[Finder; 3]) -> Option<Vec<u8>> {
    let corners = corners(picture, group)?;
    let usual = (corners.modules - 17.0) / 4.0;
    let mut versions: Vec<_> = VERSIONS
        .filter(|&version| (version as f64 - usual).abs() < 2.0)
        .collect();
    versions.sort_by(|&a, &b| {
        let [a, b] = [a, b].map(|version| (version as f64 - usual).abs());
        a.total_cmp(&b)
    });
    versions.into_iter().find_map(|version| {
        let size = 17 + 4 * version;
        let map = fitted(picture, &corners, version, size)?;
        decoded(picture, &map, size)
    })
}

/// The marks in the corners, looked at closely.
struct Corners {
    /// Bottom left, top left, top right: the middle, and pixels from a module to the next to the right and down.
    marks: [(Point, [Point; 2]); 3],
    /// About how many modules a side has.
    modules: f64,
}

fn corners(picture: &GrayImage, group: &[Finder; 3]) -> Option<Corners> {
    let [bottom, corner, right] = group;
    let along = |from: &Finder, to: &Finder, module: f64| {
        let way = [0, 1].map(|axis| to.middle[axis] - from.middle[axis]);
        let length = way[0].hypot(way[1]);
        way.map(|part| part / length * module)
    };
    let mut marks = [(corner.middle, [[0.0; 2]; 2]); 3];
    for (mark, finder) in marks.iter_mut().zip(group) {
        let axes = [
            along(corner, right, finder.module),
            along(corner, bottom, finder.module),
        ];
        *mark = closely(picture, finder.middle, axes)?;
    }
    // In a perspective, an edge has as many modules as its length over the geometric mean of the modules at its ends.
    let edge = |from: usize, to: usize, axis: usize| {
        let (from, to) = (marks[from], marks[to]);
        let length = (to.0[0] - from.0[0]).hypot(to.0[1] - from.0[1]);
        let [first, last] = [from.1[axis], to.1[axis]].map(|step| step[0].hypot(step[1]));
        length / (first * last).sqrt()
    };
    let modules = (edge(1, 2, 0) + edge(1, 0, 1)) / 2.0 + 7.0;
    Some(Corners { marks, modules })
}

/// Moves, turns and stretches a mark in a corner to where the picture is most like it.
fn closely(picture: &GrayImage, middle: Point, axes: [Point; 2]) -> Option<(Point, [Point; 2])> {
    let module = axes[0][0].hypot(axes[0][1]);
    let likeness = |[x, y, rx, ry, dx, dy]: [f64; 6]| {
        Pattern::Finder.likeness(picture, [x, y], [[rx, ry], [dx, dy]], 2)
    };
    let [right, down] = axes;
    let mut best = [middle[0], middle[1], right[0], right[1], down[0], down[1]];
    let mut most = likeness(best);
    let mut step = 0.4 * module;
    while step > 0.02 * module {
        let mut moved = false;
        for unknown in 0..6 {
            // The far end of an axis is four modules away.
            let step = if unknown < 2 { step } else { step / 4.0 };
            for by in [-step, step] {
                let mut next = best;
                next[unknown] += by;
                let like = likeness(next);
                if like > most {
                    (best, most, moved) = (next, like, true);
                }
            }
        }
        if !moved {
            step /= 2.0;
        }
    }
    let [x, y, rx, ry, dx, dy] = best;
    (most > LIKE).then_some(([x, y], [[rx, ry], [dx, dy]]))
}

/// Where the small marks are, along one axis, in modules.
fn positions(version: usize, size: usize) -> Vec<usize> {
    if version == 1 {
        return Vec::new();
    }
    let count = version / 7 + 2;
    let step = (version * 8 + count * 3 + 5) / (count * 4 - 4) * 2;
    let far = (0..count - 1).map(|number| size - 7 - number * step);
    let mut positions: Vec<_> = far.chain([6]).collect();
    positions.reverse();
    positions
}

/// The map that fits to all marks; `None` if there are too few where they should be.
fn fitted(picture: &GrayImage, corners: &Corners, version: usize, size: usize) -> Option<Map> {
    let far = size as f64 - 3.5;
    let mut points = Vec::new();
    for (module, (middle, [right, down])) in [[3.5, far], [3.5, 3.5], [far, 3.5]]
        .into_iter()
        .zip(corners.marks)
    {
        for [u, v] in [
            [0.0, 0.0],
            [-3.0, -3.0],
            [3.0, -3.0],
            [-3.0, 3.0],
            [3.0, 3.0],
        ] {
            points.push(Pair {
                module: [module[0] + u, module[1] + v],
                pixel: [0, 1].map(|axis| middle[axis] + u * right[axis] + v * down[axis]),
            });
        }
    }
    let places = positions(version, size);
    let mut left: Vec<Point> = Vec::new();
    for &row in &places {
        for &column in &places {
            let far = size - 7;
            let corner = [(6, 6), (6, far), (far, 6)].contains(&(row, column));
            if !corner {
                left.push([column, row].map(|at| at as f64 + 0.5));
            }
        }
    }
    let all = left.len();
    let mut found = 0;
    let mut map = Map::fit(size, &points)?;
    // From what is known to what is next to it.
    while !left.is_empty() {
        let distance = |place: &Point| {
            let to = |pair: &Pair| (pair.module[0] - place[0]).hypot(pair.module[1] - place[1]);
            points.iter().map(to).fold(f64::MAX, f64::min)
        };
        let (next, _) = left
            .iter()
            .enumerate()
            .min_by(|(_, a), (_, b)| distance(a).total_cmp(&distance(b)))?;
        let place = left.swap_remove(next);
        if let Some(pixel) = small_mark(picture, &map, place) {
            found += 1;
            points.push(Pair {
                module: place,
                pixel,
            });
            map = Map::fit(size, &points)?;
        }
    }
    if found * 2 < all {
        return None;
    }
    // What is off by much is something else that looks like a mark.
    let module = {
        let [right, down] = map.axes([size as f64 / 2.0; 2]);
        (right[0].hypot(right[1]) + down[0].hypot(down[1])) / 2.0
    };
    points.retain(|pair| {
        let pixel = map.pixel(pair.module);
        (pixel[0] - pair.pixel[0]).hypot(pixel[1] - pair.pixel[1]) < 0.8 * module
    });
    Map::fit(size, &points)
}

/// The small mark that should be at a place.
fn small_mark(picture: &GrayImage, map: &Map, place: Point) -> Option<Point> {
    let (middle, axes) = (map.pixel(place), map.axes(place));
    let at =
        |[u, v]: Point| [0, 1].map(|axis| middle[axis] + u * axes[0][axis] + v * axes[1][axis]);
    let best = |around: Point, steps: i32, step: f64, fine: i32| {
        let mut best = (0.0, around);
        for row in -steps..=steps {
            for column in -steps..=steps {
                let off = [
                    around[0] + f64::from(column) * step,
                    around[1] + f64::from(row) * step,
                ];
                let like = Pattern::Alignment.likeness(picture, at(off), axes, fine);
                if like > best.0 {
                    best = (like, off);
                }
            }
        }
        best
    };
    let (_, roughly) = best([0.0; 2], 2 * AROUND, 0.5, 1);
    let (like, off) = best(roughly, 3, 0.125, 2);
    (like > LIKE).then(|| at(off))
}

/// What the code holds, if enough of its modules are right.
fn decoded(picture: &GrayImage, map: &Map, size: usize) -> Option<Vec<u8>> {
    let light = modules(picture, map, size);
    SHARPEN.into_iter().find_map(|sharpen| {
        let dark = dark(&sharpened(&light, size, sharpen), size);
        let grid = rqrr::SimpleGrid::from_func(size, |x, y| dark[y * size + x]);
        let mut bytes = Vec::new();
        rqrr::Grid::new(grid).decode_to(&mut bytes).ok()?;
        Some(bytes)
    })
}

/// The brightness of each module, row by row.
fn modules(picture: &GrayImage, map: &Map, size: usize) -> Vec<f64> {
    const PLACES: [f64; 3] = [0.25, 0.5, 0.75];
    let mut light = Vec::with_capacity(size * size);
    for row in 0..size {
        for column in 0..size {
            let mut sum = 0.0;
            for dy in PLACES {
                for dx in PLACES {
                    let place = [column as f64 + dx, row as f64 + dy];
                    sum += brightness(picture, map.pixel(place));
                }
            }
            light.push(sum / 9.0);
        }
    }
    light
}

/// Takes a part of the four neighbours' brightness off each module.
fn sharpened(light: &[f64], size: usize, by: f64) -> Vec<f64> {
    let at = |row: usize, column: usize| light[row * size + column];
    let last = size - 1;
    let mut sharp = Vec::with_capacity(light.len());
    for row in 0..size {
        for column in 0..size {
            let around = at(row.saturating_sub(1), column)
                + at((row + 1).min(last), column)
                + at(row, column.saturating_sub(1))
                + at(row, (column + 1).min(last));
            sharp.push(at(row, column) * (1.0 + 4.0 * by) - around * by);
        }
    }
    sharp
}

/// Which modules are dark: nearer to the mean of the dark ones around than to that of the light ones.
fn dark(light: &[f64], size: usize) -> Vec<bool> {
    const AROUND: usize = 7;
    let mut dark = Vec::with_capacity(light.len());
    for row in 0..size {
        for column in 0..size {
            let rows = row.saturating_sub(AROUND)..(row + AROUND + 1).min(size);
            let columns = column.saturating_sub(AROUND)..(column + AROUND + 1).min(size);
            let around = || {
                rows.clone()
                    .flat_map(|row| &light[row * size..][columns.clone()])
            };
            let count = (rows.len() * columns.len()) as f64;
            let mean = around().sum::<f64>() / count;
            let (mut below, mut above) = ((0.0, 0.0), (0.0, 0.0));
            for &value in around() {
                let side = if value < mean { &mut below } else { &mut above };
                side.0 += value;
                side.1 += 1.0;
            }
            let between = match (below.1, above.1) {
                (0.0, _) | (_, 0.0) => mean,
                _ => (below.0 / below.1 + above.0 / above.1) / 2.0,
            };
            dark.push(light[row * size + column] < between);
        }
    }
    dark
}

#[cfg(test)]
mod tests {
    use super::*;

    /// ISO/IEC 18004, annex E.
    #[test]
    fn small_marks_are_where_the_standard_has_them() {
        for (version, expected) in [
            (1, &[][..]),
            (2, &[6, 18]),
            (7, &[6, 22, 38]),
            (30, &[6, 26, 52, 78, 104, 130]),
            (32, &[6, 34, 60, 86, 112, 138]),
            (36, &[6, 24, 50, 76, 102, 128, 154]),
            (40, &[6, 30, 58, 86, 114, 142, 170]),
        ] {
            assert_eq!(positions(version, 17 + 4 * version), expected, "{version}");
        }
    }
}
