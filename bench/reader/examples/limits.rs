//! How far each distortion goes until codes are no longer read: the table of docs/real-machines.md.
//!
//! `cargo run --release -p pagemark-reader --features camera --example limits`

#[path = "../tests/screens/mod.rs"]
mod screens;

use pagemark_reader::camera::{Camera, FILM};
use pagemark_reader::codes;
use screens::{SCREENS, screen};

/// Pictures of each screen for each step.
const TRIES: u64 = 4;

/// What one distortion makes of the usual camera.
type Distort = fn(f64) -> Camera;

fn main() {
    let distortions: [(&str, &[f64], Distort); 8] = [
        (
            "part of the picture's height",
            &[0.9, 0.8, 0.7, 0.6, 0.5, 0.4],
            |by| Camera { fill: by, ..FILM },
        ),
        (
            "turned, degrees",
            &[10.0, 20.0, 30.0, 35.0, 40.0, 45.0],
            |by| Camera {
                turn: [by, by / 2.0, by / 3.0],
                fill: 0.6,
                ..FILM
            },
        ),
        (
            "barrel, % at the corners",
            &[2.0, 5.0, 10.0, 15.0, 20.0],
            |by| Camera {
                barrel: by / 100.0,
                ..FILM
            },
        ),
        (
            "blur, pixels (standard deviation)",
            &[1.0, 1.5, 2.0, 2.5, 3.0, 3.5],
            |by| Camera { blur: by, ..FILM },
        ),
        (
            "noise, of 255 (standard deviation)",
            &[10.0, 20.0, 30.0, 40.0, 50.0, 60.0],
            |by| Camera { noise: by, ..FILM },
        ),
        ("contrast, of 255", &[160.0, 80.0, 40.0, 20.0, 10.0], |by| {
            Camera {
                levels: [100.0 - by / 2.0, 100.0 + by / 2.0],
                ..FILM
            }
        }),
        (
            "darker on one side by %",
            &[20.0, 40.0, 60.0, 80.0, 90.0],
            |by| Camera {
                shade: by / 100.0,
                ..FILM
            },
        ),
        ("JPEG's quality", &[50.0, 30.0, 20.0, 10.0, 5.0], |by| {
            Camera {
                jpeg: Some(by as u8),
                ..FILM
            }
        }),
    ];
    for (pixels, name) in [
        ([1920, 1080], "1,920 by 1,080"),
        ([1280, 720], "1,280 by 720"),
    ] {
        println!("{name}");
        for (what, steps, distort) in &distortions {
            print!("  {what:36}");
            for &step in *steps {
                let (mut read, mut all) = (0, 0);
                for (number, shape) in SCREENS.into_iter().enumerate() {
                    for seed in 0..TRIES {
                        let (screen, bytes) = screen(shape, 10 * number as u64 + seed);
                        let mut camera = Camera {
                            pixels,
                            ..distort(step)
                        };
                        camera.turn[0] += 0.37 * seed as f64;
                        read +=
                            u64::from(codes(&camera.picture(&screen, seed)).next() == Some(bytes));
                        all += 1;
                    }
                }
                print!("  {step}: {read}/{all}");
            }
            println!();
        }
    }
}
