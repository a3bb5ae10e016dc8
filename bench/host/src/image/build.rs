//! Has cargo build the image.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::checkout;

/// Builds the image and returns its file. cargo's messages go to standard error.
pub fn build() -> Result<PathBuf> {
    Variant::default().build()
}

/// Bytes by which all code that is measured can lie further up than usual, the bracket staying where it is.
pub const TEXT_OFFSETS: [u32; 4] = [0, 16, 32, 48];

/// What of the sources is built.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Program {
    /// The image.
    #[default]
    Image,
    /// The same suite as a Linux process.
    Process,
}

impl Program {
    /// cargo's name of it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Image => "pagemark-image",
            Self::Process => "pagemark-hosted",
        }
    }

    /// What it is built for; none for this host.
    const fn target(self) -> Option<&'static str> {
        match self {
            Self::Image => Some("x86_64-unknown-none"),
            Self::Process => None,
        }
    }
}

/// Where an image comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It is there.
    File(PathBuf),
    /// It is built from the sources.
    Sources {
        /// One of [`TEXT_OFFSETS`].
        text_offset: u32,
    },
    /// It is no image, but the suite as a process, built from the sources.
    ProcessSources,
}

impl Origin {
    /// The image's file, once it is there.
    pub fn file(&self) -> Result<PathBuf> {
        match self {
            Self::File(file) => Ok(file.clone()),
            Self::Sources { text_offset: 0 } => build(),
            Self::ProcessSources => Variant {
                program: Program::Process,
                ..Variant::default()
            }
            .build(),
            Self::Sources { text_offset } => Variant {
                folder: Some("text_offset"),
                variables: vec![("PAGEMARK_TEXT_OFFSET", text_offset.to_string())],
                ..Variant::default()
            }
            .build(),
        }
    }
}

/// An image that differs from the one that everybody runs.
#[derive(Clone, Debug, Default)]
pub struct Variant {
    /// What is built.
    pub program: Program,
    /// Its folder under `target/`, as cargo would put it where the other one is; none for that one.
    pub folder: Option<&'static str>,
    /// Features of the package.
    pub features: &'static str,
    /// Variables of the environment that the sources look at.
    pub variables: Vec<(&'static str, String)>,
}

impl Variant {
    /// Builds it and returns its file.
    pub fn build(&self) -> Result<PathBuf> {
        let root = checkout::root()?;
        let mut command = command(&root, self.program);
        if let Some(folder) = self.folder {
            command
                .arg("--target-dir")
                .arg(root.join("target").join(folder));
        }
        command.args(["--features", self.features]);
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        built(command)
    }
}

/// Runs cargo, and returns the image's file.
pub(super) fn built(mut command: Command) -> Result<PathBuf> {
    let output = command.output().context("cargo cannot be started")?;
    if !output.status.success() {
        bail!(
            "the sources do not build: cargo ended with {}",
            output.status
        );
    }
    executable(&output.stdout).context("cargo does not say where the file is that it built")
}

/// cargo, about to build `program` of the checkout at `root`.
fn command(root: &Path, program: Program) -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    command_of(&cargo, root, program)
}

/// This cargo, about to build `program` of the checkout at `root`.
pub(super) fn command_of(cargo: &OsStr, root: &Path, program: Program) -> Command {
    let mut command = Command::new(cargo);
    command
        .args(["build", "--quiet", "--release", "--bin", program.name()])
        .args(
            program
                .target()
                .into_iter()
                .flat_map(|target| ["--target", target]),
        )
        .arg("--message-format=json-render-diagnostics")
        .current_dir(root)
        // Flags from the environment would replace those in .cargo/config.toml, which the image cannot do without.
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .stderr(Stdio::inherit());
    command
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
