//! `completions`.

use clap_complete::Shell;
use clap_complete::aot::generate;

use crate::arguments::{Arguments, CompletionsArguments};
use crate::error::CliError;
use crate::terminal::Terminal;

pub(crate) fn run(arguments: &CompletionsArguments, terminal: &Terminal) -> Result<(), CliError> {
    let mut definition = Arguments::definition();
    let name = definition.get_name().to_owned();
    let mut script = Vec::new();
    generate(arguments.shell, &mut definition, &name, &mut script);
    let mut script = String::from_utf8_lossy(&script).into_owned();
    if arguments.shell == Shell::Bash {
        script = with_one_spelling(&script, &name);
    }
    terminal.write_text(&script)
}

/// Works around <https://github.com/clap-rs/clap/issues/6421>: the generator spells a name with
/// hyphens in two ways, so that only the first word is completed. Once the bug is fixed, this
/// function has no effect.
fn with_one_spelling(script: &str, name: &str) -> String {
    script.replace(&name.replace('-', "__subcmd__"), &name.replace('-', "__"))
}
