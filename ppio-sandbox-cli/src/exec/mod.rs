//! `agent exec`.

mod exit_code;
mod program;
mod raw_terminal;
mod screen_modes;
mod standard_streams;

use std::io::{self, IsTerminal as _};
use std::process::ExitCode;

use ppio_agent_client::SandboxSession;
use ppio_agent_client::platform::Command;

use self::program::Program;
use crate::arguments::{ExecArguments, variables};
use crate::error::{CliError, ExitKind};
use crate::platform::Platform;
use crate::platform::deployed_agent::{self, DeployedAgent, newest_session};
use crate::signals::or_interrupted;
use crate::terminal::Terminal;

/// A login shell, which is interactive on a terminal and reads commands from a pipe otherwise.
const SHELL: [&str; 2] = ["/bin/bash", "-l"];
const OPEN_ONE: &str = "open a session with `ppio-sandbox-cli agent invoke --keep`";

pub(crate) async fn run(
    arguments: ExecArguments,
    terminal: &Terminal,
) -> Result<ExitCode, CliError> {
    let has_terminal = !arguments.no_tty
        && (arguments.tty || io::stdin().is_terminal() && io::stdout().is_terminal());
    let command = command(&arguments, has_terminal)?;
    let starting = async {
        let platform = Platform::choose(&arguments.agent.platform)?;
        let session = session(&arguments, &platform, terminal).await?;
        let user = arguments.user.as_deref();
        let program = Program::start(&command, session, user, platform).await?;
        Ok(program)
    };
    let mut program = or_interrupted(starting).await?;
    // The signal handlers are installed before the modes of the terminal change.
    let outcome = or_interrupted(program.connect_streams()).await;
    if let Err(error) = &outcome {
        program.restore_screen().await;
        if matches!(
            error.kind,
            ExitKind::Interrupted | ExitKind::Terminated | ExitKind::OutputClosed
        ) {
            program.stop().await;
        }
    }
    outcome.map(ExitCode::from)
}

fn command(arguments: &ExecArguments, has_terminal: bool) -> Result<Command, CliError> {
    let words: Vec<&str> = match arguments.command.as_slice() {
        [] => SHELL.to_vec(),
        words => words.iter().map(String::as_str).collect(),
    };
    let mut words = words.into_iter();
    let mut command = Command::new(words.next().unwrap_or_default());
    command.args = words.map(str::to_owned).collect();
    command.cwd.clone_from(&arguments.cwd);
    command.stdin = true;
    if has_terminal {
        command.terminal = Some(raw_terminal::size(io::stdout()));
        // Programs use this variable to write the control sequences of this terminal.
        let term = std::env::var("TERM").ok().filter(|term| !term.is_empty());
        command
            .envs
            .extend(term.map(|term| ("TERM".to_owned(), term)));
    }
    command.envs.extend(variables(&arguments.env)?);
    Ok(command)
}

async fn session(
    arguments: &ExecArguments,
    platform: &Platform,
    terminal: &Terminal,
) -> Result<SandboxSession, CliError> {
    let id = if let Some(id) = arguments.session() {
        id.to_owned()
    } else {
        let agent = DeployedAgent::select(&arguments.agent)?;
        newest_session(&agent, platform, "using", OPEN_ONE, terminal).await?
    };
    let note = || terminal.note("the session is paused, resuming it");
    deployed_agent::usable_session(&id, platform, note).await
}
