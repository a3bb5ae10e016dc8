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

#[cfg(test)]
mod tests {
    use clap::{Command, CommandFactory};

    use super::Cli;

    /// `command` and all below it.
    fn all(command: &Command) -> Vec<Command> {
        let below = command.get_subcommands().flat_map(all);
        std::iter::once(command.clone()).chain(below).collect()
    }

    #[test]
    fn every_help_text_fits_80_columns() {
        let mut command = Cli::command();
        command.build();
        let commands = all(&command);
        assert!(commands.len() > 20, "{}", commands.len());
        for mut command in commands {
            for help in [command.render_help(), command.render_long_help()] {
                let help = help.to_string();
                let long = help.lines().find(|line| line.chars().count() > 80);
                assert_eq!(long, None, "of {}", command.get_name());
                assert!(help.lines().count() >= 3, "{help}");
            }
        }
    }

    /// A line that begins with blanks is one to copy: it may not be wrapped.
    #[test]
    fn commands_in_help_texts_are_not_wrapped() {
        for command in all(&Cli::command()) {
            let texts = [command.get_after_help(), command.get_after_long_help()];
            for text in texts.into_iter().flatten().map(ToString::to_string) {
                let long = text
                    .lines()
                    .find(|line| line.starts_with("  ") && line.chars().count() > 80);
                assert_eq!(long, None, "of {}", command.get_name());
            }
        }
    }
}
