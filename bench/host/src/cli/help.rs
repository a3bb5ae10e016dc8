//! What is generated from the command line itself: `completions` and `man`.

use std::io::Write;

use anyhow::Result;
use clap::{Args, CommandFactory};

use super::Cli;
use crate::style::print;

/// `pagemark completions`.
#[derive(Args, Debug)]
pub struct Completions {
    /// The shell
    pub shell: clap_complete::Shell,
}

pub(super) fn write_completions(options: &Completions) -> u8 {
    clap_complete::generate(
        options.shell,
        &mut Cli::command(),
        "pagemark",
        &mut std::io::stdout(),
    );
    0
}

/// One page with all commands.
pub(super) fn write_manual() -> Result<u8> {
    let mut command = Cli::command();
    command.build();
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone()).render(&mut page)?;
    for subcommand in command
        .get_subcommands()
        .filter(|command| command.get_name() != "help")
    {
        let name = subcommand.get_name();
        let title = format!("pagemark {name}");
        let mut section = Vec::new();
        let man = clap_mangen::Man::new(subcommand.clone());
        writeln!(section, ".SH {}", title.to_uppercase())?;
        man.render_description_section(&mut section)?;
        man.render_options_section(&mut section)?;
        page.extend(section);
    }
    print(&String::from_utf8_lossy(&page))?;
    Ok(0)
}
