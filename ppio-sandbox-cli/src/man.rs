//! The command `man`: prints or writes the manual pages.

use std::fs;
use std::io;
use std::path::Path;

use clap_mangen::Man;

use crate::arguments::{Arguments, ManArguments};
use crate::error::CliError;
use crate::terminal::Terminal;

pub(crate) fn run(arguments: &ManArguments, terminal: &Terminal) -> Result<(), CliError> {
    let mut definition = Arguments::definition();
    definition.build();
    let Some(directory) = &arguments.directory else {
        let mut page = Vec::new();
        Man::new(definition)
            .render(&mut page)
            .map_err(|error| CliError::system("cannot write the manual", error))?;
        return terminal.write_text(&String::from_utf8_lossy(&page));
    };
    let written = fs::create_dir_all(directory).and_then(|()| write(&definition, directory));
    let pages = written.map_err(|error| {
        CliError::system(
            format!("cannot write the manual into {}", directory.display()),
            error,
        )
    })?;
    terminal.note(&format!(
        "wrote {pages} manual pages; open the first with `man {}`",
        directory.join("ppio-sandbox-cli.1").display()
    ));
    Ok(())
}

/// Writes the manual pages of a command and its subcommands. Returns the number of pages.
fn write(command: &clap::Command, directory: &Path) -> io::Result<usize> {
    let man = Man::new(command.clone());
    let mut page = Vec::new();
    man.render(&mut page)?;
    fs::write(directory.join(man.get_filename()), page)?;
    let mut pages = 1;
    for subcommand in command.get_subcommands() {
        // The page of `help` would repeat the other pages.
        if subcommand.get_name() != "help" && !subcommand.is_hide_set() {
            pages += write(subcommand, directory)?;
        }
    }
    Ok(pages)
}
