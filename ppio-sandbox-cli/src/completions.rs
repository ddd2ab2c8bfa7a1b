//! `completions`.

use clap_complete::Shell;
use clap_complete::aot::generate;

use crate::arguments::{Arguments, CompletionsArguments};
use crate::error::Failure;
use crate::terminal::Terminal;

pub(crate) fn run(arguments: &CompletionsArguments, terminal: &Terminal) -> Result<(), Failure> {
    let mut definition = Arguments::definition();
    let name = definition.get_name().to_owned();
    let mut script = Vec::new();
    generate(arguments.shell, &mut definition, &name, &mut script);
    let mut script = String::from_utf8_lossy(&script).into_owned();
    if arguments.shell == Shell::Bash {
        script = with_one_spelling(&script, &name);
    }
    terminal.piece(&script)
}

/// The generator spells a name with hyphens in one way where it finds a command and in another where it acts on it, so
/// that nothing but the first word is completed (<https://github.com/clap-rs/clap/issues/6421>). Changes nothing once
/// it no longer does.
fn with_one_spelling(script: &str, name: &str) -> String {
    script.replace(&name.replace('-', "__subcmd__"), &name.replace('-', "__"))
}
