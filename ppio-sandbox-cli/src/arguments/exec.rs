//! The arguments of `agent exec`.

use clap::Args;

use super::selection::AgentArguments;
use super::values::not_empty;

const EXEC_HELP: &str = "\
The program gets a terminal if standard input and standard output are terminals: keys go to the program as they are, Ctrl-C \
included, and the size follows that of the window. Otherwise it gets pipes: standard input to its end, and standard output \
apart from standard error. Then Ctrl-C ends the program with SIGTERM. Without a command it is a login shell of bash.

The session stays open while the program runs. A program whose connection is lost goes on in the session.

Exit codes: that of the program, or 128 and the signal that ended it. 127: the program is not in the sandbox; 126: it \
cannot be executed; 3: the session cannot be used, or the connection to it was lost; 130 and 143: ended by Ctrl-C or by \
SIGTERM. `--json` makes errors of this command JSON, and does not change the output of the program.

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
    /// The session, which is resumed if it is paused [default: the newest of the agent]
    #[arg(value_name = "SESSION", value_parser = not_empty)]
    session: Option<String>,
    /// The same as SESSION
    #[arg(long = "session", value_name = "ID", value_parser = not_empty, conflicts_with = "session")]
    session_option: Option<String>,
    /// Set an environment variable of the program, by default to its value in this environment
    #[arg(long, short = 'e', value_name = "NAME[=VALUE]", value_parser = not_empty)]
    pub(crate) env: Vec<String>,
    /// The program's working directory [default: the sandbox's]
    #[arg(long, value_name = "DIR", value_parser = not_empty)]
    pub(crate) cwd: Option<String>,
    /// The user of the sandbox that runs the program [default: the sandbox's]
    #[arg(long, value_name = "NAME", value_parser = not_empty)]
    pub(crate) user: Option<String>,
    /// Give the program a terminal, also if standard input or output is not one
    #[arg(long)]
    pub(crate) tty: bool,
    /// Give the program pipes
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
