//! `man`.

use std::fs;
use std::io;
use std::path::Path;

use clap_mangen::Man;

use crate::arguments::{Arguments, ManArguments};
use crate::error::Failure;
use crate::terminal::Terminal;

pub(crate) fn run(arguments: &ManArguments, terminal: &Terminal) -> Result<(), Failure> {
    let mut definition = Arguments::definition();
    definition.build();
    let Some(directory) = &arguments.directory else {
        let mut page = Vec::new();
        Man::new(definition)
            .render(&mut page)
            .map_err(|error| Failure::system("cannot write the manual", error))?;
        return terminal.piece(&String::from_utf8_lossy(&page));
    };
    let written = fs::create_dir_all(directory).and_then(|()| write(&definition, directory));
    let pages = written.map_err(|error| {
        Failure::system(
            format!("cannot write the manual into {}", directory.display()),
            error,
        )
    })?;
    terminal.note(&format!(
        "wrote {pages} pages, read the first one with `man {}`",
        directory.join("ppio-sandbox-cli.1").display()
    ));
    Ok(())
}

/// Writes the page of a command and of everything below it, and counts them.
fn write(command: &clap::Command, directory: &Path) -> io::Result<usize> {
    let man = Man::new(command.clone());
    let mut page = Vec::new();
    man.render(&mut page)?;
    fs::write(directory.join(man.get_filename()), page)?;
    let mut pages = 1;
    for below in command.get_subcommands() {
        // What `help` says stands on the other pages.
        if below.get_name() != "help" && !below.is_hide_set() {
            pages += write(below, directory)?;
        }
    }
    Ok(pages)
}
