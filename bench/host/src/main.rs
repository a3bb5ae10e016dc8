//! The binary `pagemark`.

use std::process::ExitCode;

use clap::Parser;
use pagemark_host::cli::{Cli, execute};

fn main() -> ExitCode {
    ExitCode::from(execute(Cli::parse().command))
}
