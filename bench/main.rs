//! The application: picks the cases, runs them, prints the records, leaves.
//!
//! Built for the bare machine this is the image. Built for a host it is a door to `scripts/run.sh`, so that `cargo run` boots
//! the image, too.
#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
mod application;
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
mod provoke;
#[cfg(target_os = "none")]
mod vmallocinfo;
#[cfg(target_os = "none")]
use image as platform;

/// `scripts/run.sh` of the checkout: `cargo run` names its root, and without cargo this program lies in `target`.
#[cfg(not(target_os = "none"))]
fn script() -> Option<std::path::PathBuf> {
    let script =
        |root: &std::path::Path| Some(root.join("scripts/run.sh")).filter(|path| path.is_file());
    let named = std::env::var_os("CARGO_MANIFEST_DIR");
    let program = std::env::current_exe().unwrap_or_default();
    named
        .and_then(|root| script(root.as_ref()))
        .or_else(|| program.ancestors().find_map(script))
}

#[cfg(not(target_os = "none"))]
fn main() -> std::process::ExitCode {
    let Some(script) = script() else {
        eprintln!(
            "pagemark: this program lies in no checkout of pagemark, which has scripts/run.sh"
        );
        return 2.into();
    };
    match std::process::Command::new(&script)
        .args(std::env::args_os().skip(1))
        .status()
    {
        Ok(status) => status.code().map_or(1, |code| code as u8).into(),
        Err(error) => {
            eprintln!("pagemark: {}: {error}", script.display());
            2.into()
        }
    }
}
