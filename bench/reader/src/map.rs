//! Where in a picture the modules of a code lie: a perspective, and what a lens adds to it, fitted to points that were found.

/// A point in modules, or in pixels of a picture.
pub type Point = [f64; 2];

/// A point of the code that was found in the picture.
#[derive(Clone, Copy, Debug)]
pub struct Pair {
    /// In modules.
    pub module: Point,
    /// In pixels.
    pub pixel: Point,
}

/// Unknowns of a perspective: (a u + b v + c, d u + e v + f) / (g u + h v + 1).
const PERSPECTIVE: usize = 8;
/// Terms of a polynomial of degree 3 in two variables.
const CUBIC: usize = 10;
/// Points that a fit of these needs to be better for them.
const POINTS_FOR_LENS: usize = 24;
/// How often both are fitted in turn.
const ROUNDS: usize = 4;
/// How strongly the terms of lens and perspective are held near 0: they only leave it for what several points show.
const RIDGE: [f64; 2] = [1e-4, 1e-3];

/// Maps modules to pixels.
#[derive(Clone, Debug)]
pub struct Map {
    /// Half of a side in modules: what is mapped to -1 to 1.
    half: f64,
    /// Pixels of the middle, and pixels that are 1.
    middle: Point,
    scale: f64,
    perspective: [f64; PERSPECTIVE],
    lens: [[f64; CUBIC]; 2],
}

impl Map {
    /// The best one for these points of a code with `size` modules a side; `None` if they do not suffice.
    pub fn fit(size: usize, points: &[Pair]) -> Option<Self> {
        let half = size as f64 / 2.0;
        let count = points.len() as f64;
        let mean = |axis: usize| points.iter().map(|it| it.pixel[axis]).sum::<f64>() / count;
        let middle = [mean(0), mean(1)];
        let reach = |pair: &Pair| {
            (0..2)
                .map(|axis| (pair.pixel[axis] - middle[axis]).abs())
                .fold(0.0, f64::max)
        };
        let scale = points.iter().map(reach).fold(0.0, f64::max);
        if points.len() < 4 || scale < 1.0 {
            return None;
        }
        let mut map = Map {
            half,
            middle,
            scale,
            perspective: [0.0; PERSPECTIVE],
            lens: [[0.0; CUBIC]; 2],
        };
        map.fit_perspective(points)?;
        if points.len() >= POINTS_FOR_LENS {
            // Each takes for its own what the other leaves over.
            for _ in 0..ROUNDS {
                map.fit_lens(points)?;
                map.fit_perspective(points)?;
            }
        }
        Some(map)
    }

    /// Fits the perspective to what the lens leaves.
    fn fit_perspective(&mut self, points: &[Pair]) -> Option<()> {
        let mut system = System::<PERSPECTIVE>::new();
        for pair in points {
            let [u, v] = self.normal(pair.module);
            let seen = self.off_middle(pair.pixel);
            let bent = self.bent(self.plane(pair.module));
            let [x, y] = [0, 1].map(|axis| seen[axis] - bent[axis]);
            system.add([u, v, 1.0, 0.0, 0.0, 0.0, -u * x, -v * x], x);
            system.add([0.0, 0.0, 0.0, u, v, 1.0, -u * y, -v * y], y);
        }
        let hold = RIDGE[0] * points.len() as f64;
        system.hold(&[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0], hold);
        self.perspective = system.solve()?;
        Some(())
    }

    /// Fits the lens to what the perspective leaves.
    fn fit_lens(&mut self, points: &[Pair]) -> Option<()> {
        let mut lens = [[0.0; CUBIC]; 2];
        for (axis, lens) in lens.iter_mut().enumerate() {
            let mut system = System::<CUBIC>::new();
            for pair in points {
                let plane = self.plane(pair.module);
                system.add(
                    cubic(plane),
                    self.off_middle(pair.pixel)[axis] - plane[axis],
                );
            }
            system.hold(&[1.0; CUBIC], RIDGE[1]);
            *lens = system.solve()?;
        }
        self.lens = lens;
        Some(())
    }

    fn off_middle(&self, pixel: Point) -> Point {
        [0, 1].map(|axis| (pixel[axis] - self.middle[axis]) / self.scale)
    }

    /// Where the perspective has a module.
    fn plane(&self, module: Point) -> Point {
        let [u, v] = self.normal(module);
        let [a, b, c, d, e, f, g, h] = self.perspective;
        let depth = g * u + h * v + 1.0;
        [(a * u + b * v + c) / depth, (d * u + e * v + f) / depth]
    }

    /// By how much the lens moves a point of the plane.
    fn bent(&self, plane: Point) -> Point {
        let terms = cubic(plane);
        self.lens
            .map(|lens| lens.iter().zip(terms).map(|(by, term)| by * term).sum())
    }

    fn normal(&self, module: Point) -> Point {
        module.map(|at| at / self.half - 1.0)
    }

    /// The pixel of a module.
    pub fn pixel(&self, module: Point) -> Point {
        let plane = self.plane(module);
        let bent = self.bent(plane);
        [0, 1].map(|axis| (plane[axis] + bent[axis]) * self.scale + self.middle[axis])
    }

    /// The pixels from one module to the next, to the right and down.
    pub fn axes(&self, module: Point) -> [Point; 2] {
        [[1.0, 0.0], [0.0, 1.0]].map(|step: Point| {
            let [before, behind] =
                [-0.5, 0.5].map(|by| self.pixel([0, 1].map(|axis| module[axis] + by * step[axis])));
            [behind[0] - before[0], behind[1] - before[1]]
        })
    }
}

fn cubic([u, v]: Point) -> [f64; CUBIC] {
    let (uu, vv) = (u * u, v * v);
    [1.0, u, v, uu, u * v, vv, uu * u, uu * v, u * vv, vv * v]
}

/// Linear equations with more rows than unknowns: their normal equations.
struct System<const N: usize> {
    matrix: [[f64; N]; N],
    right: [f64; N],
}

impl<const N: usize> System<N> {
    fn new() -> Self {
        System {
            matrix: [[0.0; N]; N],
            right: [0.0; N],
        }
    }

    /// Adds an equation.
    fn add(&mut self, row: [f64; N], value: f64) {
        for i in 0..N {
            for j in 0..N {
                self.matrix[i][j] += row[i] * row[j];
            }
            self.right[i] += row[i] * value;
        }
    }

    /// Holds unknowns near 0.
    fn hold(&mut self, which: &[f64; N], by: f64) {
        for (i, which) in which.iter().enumerate() {
            self.matrix[i][i] += which * by;
        }
    }

    /// By Gauss, with pivots.
    fn solve(mut self) -> Option<[f64; N]> {
        for column in 0..N {
            let pivot = (column..N).max_by(|&a, &b| {
                let [a, b] = [a, b].map(|row| self.matrix[row][column].abs());
                a.total_cmp(&b)
            })?;
            if self.matrix[pivot][column].abs() < 1e-9 {
                return None;
            }
            self.matrix.swap(column, pivot);
            self.right.swap(column, pivot);
            for row in column + 1..N {
                let factor = self.matrix[row][column] / self.matrix[column][column];
                for at in column..N {
                    self.matrix[row][at] -= factor * self.matrix[column][at];
                }
                self.right[row] -= factor * self.right[column];
            }
        }
        let mut solution = [0.0; N];
        for row in (0..N).rev() {
            let known: f64 = (row + 1..N)
                .map(|at| self.matrix[row][at] * solution[at])
                .sum();
            solution[row] = (self.right[row] - known) / self.matrix[row][row];
        }
        Some(solution)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_perspective_with_a_lens_is_found_again() {
        let seen = |[u, v]: Point| {
            let depth = 1.0 + 0.002 * u - 0.001 * v;
            let [x, y] = [(5.0 * u - 0.7 * v) / depth, (0.4 * u + 5.3 * v) / depth];
            // From the middle of the picture.
            let [x, y] = [x - 300.0, y - 360.0];
            let lens = 1.0 - 2e-7 * (x * x + y * y);
            [700.0 + x * lens, 660.0 + y * lens]
        };
        let points: Vec<_> = (0..36)
            .map(|number| [f64::from(number % 6), f64::from(number / 6)].map(|at| 3.5 + 26.0 * at))
            .map(|module| Pair {
                module,
                pixel: seen(module),
            })
            .collect();
        let map = Map::fit(137, &points).unwrap();
        for module in [[0.5, 0.5], [70.0, 30.0], [136.5, 136.5], [0.5, 136.5]] {
            let (found, real) = (map.pixel(module), seen(module));
            let off = (found[0] - real[0]).hypot(found[1] - real[1]);
            // A module is 5 pixels.
            assert!(off < 1.0, "{module:?}: {off} pixels");
        }
        let [right, down] = map.axes([60.0, 60.0]);
        assert!(right[0] > 4.0 && down[1] > 4.0);
    }

    #[test]
    fn points_on_a_line_do_not_suffice() {
        let point = |at: f64| Pair {
            module: [at, at],
            pixel: [3.0 * at, 3.0 * at],
        };
        assert!(Map::fit(21, &[0.0, 1.0, 2.0, 3.0, 4.0].map(point)).is_none());
    }
}
