//! The arguments of `agent exec`.

use clap::Args;

use super::selection::AgentArguments;
use super::values::not_empty;

const EXEC_HELP: &str = "\
If standard input and standard output are terminals, the program runs in a terminal of the same \
size, and every key, Ctrl-C included, is sent to it. Otherwise pipes are used: standard input \
is sent up to its end, standard output and standard error stay separate, and Ctrl-C ends the \
program with SIGTERM. Without a command, a login shell of bash is started.

The session stays open while the program runs. If the connection is lost, the program continues in \
the session.

Exit codes: the program's own, or 128 plus the number of the signal that ended it. 127: the \
program was not found in the sandbox; 126: it cannot be executed; 3: the session cannot be used, \
or the connection to it was lost; 130 and 143: ended by Ctrl-C or SIGTERM. `--json` prints the \
errors of this command as JSON; the program's output is unchanged.

Examples:
  ppio-sandbox-cli agent exec
  ppio-sandbox-cli agent exec \"$session\" -- python3 -c 'print(1)'
  ppio-sandbox-cli agent exec -- tar -cz data >data.tar.gz
  ppio-sandbox-cli agent exec -- sh -c 'cat >notes.txt' <notes.txt";

#[derive(Debug, Args)]
#[command(after_long_help = EXEC_HELP)]
pub(crate) struct ExecArguments {
    #[command(flatten)]
    pub(crate) agent: AgentArguments,
    /// The session, which is resumed if it is paused [default: the agent's newest session]
    #[arg(value_name = "SESSION", value_parser = not_empty)]
    session: Option<String>,
    /// The session, as an option instead of SESSION
    #[arg(long = "session", value_name = "ID", value_parser = not_empty, conflicts_with = "session")]
    session_option: Option<String>,
    /// Set an environment variable of the program, by default to its value in this environment
    #[arg(long, short = 'e', value_name = "NAME[=VALUE]", value_parser = not_empty)]
    pub(crate) env: Vec<String>,
    /// The program's working directory [default: the sandbox's]
    #[arg(long, value_name = "DIR", value_parser = not_empty)]
    pub(crate) cwd: Option<String>,
    /// The sandbox user to run the program as [default: the sandbox's]
    #[arg(long, value_name = "NAME", value_parser = not_empty)]
    pub(crate) user: Option<String>,
    /// Run the program in a terminal even if standard input or output is not one
    #[arg(long)]
    pub(crate) tty: bool,
    /// Run the program with pipes even if standard input and output are terminals
    #[arg(long, conflicts_with = "tty")]
    pub(crate) no_tty: bool,
    /// The program and its arguments [default: a login shell]
    #[arg(last = true, value_name = "COMMAND")]
    pub(crate) command: Vec<String>,
}

impl ExecArguments {
    /// The session that the command line names.
    pub(crate) fn session(&self) -> Option<&str> {
        self.session.as_deref().or(self.session_option.as_deref())
    }
}
