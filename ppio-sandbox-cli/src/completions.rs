//! `completions`.

use clap_complete::aot::generate;

use crate::arguments::{Arguments, CompletionsArguments};
use crate::failure::Failure;
use crate::terminal::Terminal;

pub(crate) fn run(arguments: &CompletionsArguments, terminal: &Terminal) -> Result<(), Failure> {
    let mut definition = Arguments::definition();
    let name = definition.get_name().to_owned();
    let mut script = Vec::new();
    generate(arguments.shell, &mut definition, name, &mut script);
    terminal.piece(&String::from_utf8_lossy(&script))
}
