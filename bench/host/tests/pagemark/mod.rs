//! Calls of the binary `pagemark`, as a pipeline makes them.

use std::ffi::OsStr;
use std::process::{Command, Output};

/// What it says to these words and files, and how it ends.
pub fn pagemark(words: &[&str], files: &[impl AsRef<OsStr>]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_pagemark"))
        .args(words)
        .args(files)
        .output()
        .expect("the binary starts")
}
