//! The suite as a process of this host: the program that `bench/hosted.rs` is, and its arguments.

use std::path::Path;

use anyhow::{Context, Result, bail};

use super::memory::bytes;
use super::{Door, Request};

/// How the process gets its memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hosted {
    /// Physical memory in 2 MiB pages, where the kernel has them.
    pub huge: bool,
}

/// Whether the suite can be a process here.
///
/// # Errors
///
/// This is another system, or another kind of CPU; the error names it.
pub fn is_possible() -> Result<()> {
    let (system, cpu) = (std::env::consts::OS, std::env::consts::ARCH);
    if (system, cpu) != ("linux", "x86_64") {
        bail!(
            "--hosted: the suite is a process on Linux on x86-64 alone, and this is {system} on {cpu}"
        );
    }
    Ok(())
}

impl Hosted {
    /// The process that `request` asks for, of `program`, with `words` behind its command line.
    pub(super) fn door(self, request: &Request, program: &Path, words: &[String]) -> Result<Door> {
        let bytes = bytes(&request.memory)
            .with_context(|| format!("--mem: {} is no size", request.memory))?;
        let own = [
            format!("--bytes={bytes}"),
            format!("--cpus={}", request.cpus),
        ];
        let huge = self.huge.then(|| "--huge".to_owned());
        let command_line = request.command_line.iter().chain(words).cloned();
        Ok(Door::Process {
            program: program.to_owned(),
            arguments: own.into_iter().chain(huge).chain(command_line).collect(),
        })
    }
}
