//! The application: picks the cases, runs them, prints the records, leaves.
//!
//! Built for the bare machine this is the image. Built for a host it is a door to `scripts/run.sh`, so that `cargo run` boots
//! the image, too.
#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
mod cases;
#[cfg(target_os = "none")]
mod checks;
#[cfg(target_os = "none")]
mod environment;
#[cfg(target_os = "none")]
mod harness;
#[cfg(target_os = "none")]
mod image;
#[cfg(target_os = "none")]
mod vmallocinfo;

#[cfg(not(target_os = "none"))]
fn main() -> std::process::ExitCode {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/run.sh");
    match std::process::Command::new(script)
        .args(std::env::args_os().skip(1))
        .status()
    {
        Ok(status) => status.code().map_or(1, |code| code as u8).into(),
        Err(error) => {
            eprintln!("pagemark: {script}: {error}");
            2.into()
        }
    }
}
