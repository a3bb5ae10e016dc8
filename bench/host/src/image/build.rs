//! Has cargo build the image.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// The folder of the workspace that this tool was built in; the image is built from its sources.
pub fn workspace() -> &'static Path {
    let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    crate_folder.ancestors().nth(2).unwrap_or(crate_folder)
}

/// Builds the image and returns its file. cargo's messages go to standard error.
pub fn build() -> Result<PathBuf> {
    let root = workspace();
    if !root.join("Cargo.toml").is_file() {
        bail!(
            "{} no longer holds pagemark's sources; name an image with --image",
            root.display()
        );
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(&cargo)
        .args([
            "build",
            "--quiet",
            "--release",
            "--target",
            "x86_64-unknown-none",
            "--bin",
            "pagemark-image",
        ])
        .arg("--message-format=json-render-diagnostics")
        .current_dir(root)
        // Flags from the environment would replace those in .cargo/config.toml, which the image cannot do without.
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("{} cannot be started", cargo.display()))?;
    if !output.status.success() {
        bail!(
            "the image does not build: cargo ended with {}",
            output.status
        );
    }
    executable(&output.stdout).context("cargo built the image and did not say where it is")
}

/// The executable that cargo's messages name last.
fn executable(messages: &[u8]) -> Option<PathBuf> {
    let messages = messages.split(|&byte| byte == b'\n').rev();
    messages
        .filter_map(|line| serde_json::from_slice::<serde_json::Value>(line).ok())
        .find_map(|message| Some(PathBuf::from(message.get("executable")?.as_str()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_executable_is_found_among_the_messages() {
        let messages = b"{\"reason\":\"compiler-artifact\",\"executable\":null}\n\
            {\"reason\":\"compiler-artifact\",\"executable\":\"/t/pagemark-image\"}\n\
            {\"reason\":\"build-finished\",\"success\":true}\n";
        assert_eq!(
            executable(messages),
            Some(PathBuf::from("/t/pagemark-image"))
        );
        assert_eq!(executable(b"not json\n\n"), None);
    }
}
