//! The `start` record, the first of every log.

use pagemark_record::{Record, Start};

use super::log;
use crate::boot::command_line::Options;

/// Writes what runs: the revision, and the suite that the command line asks for.
pub fn record<E>(options: &Result<Options, E>, command_line: &str) {
    log::record(&Record::Start(Start {
        schema: pagemark_record::SCHEMA,
        revision: env!("PAGEMARK_REVISION").into(),
        suite: options
            .as_ref()
            .map_or("none", |options| options.suite.name())
            .into(),
        command_line: command_line.into(),
        text_offset: env!("PAGEMARK_TEXT_OFFSET").parse().unwrap_or(0),
    }));
}
