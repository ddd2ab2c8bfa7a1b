//! `ppio-sandbox-cli`: from an empty folder to a deployed agent.
//!
//! `arguments` is what can be typed; one file under `agent/` or `local/` is one command; `failure` is how a command
//! ends badly, with the exit code that scripts read; `interruption` is how Ctrl-C ends one; `terminal` is the only
//! place that prints.

mod arguments;
mod completions;
mod configure;
mod delete;
mod deploy;
mod dev;
mod doctor;
mod error;
mod init;
mod invoke;
mod list;
mod local;
mod logs;
mod manual;
mod platform;
mod project;
mod signals;
mod status;
mod stop;
mod terminal;

use std::process::ExitCode;

use crate::arguments::{AgentCommand, Arguments, Command, LocalCommand};
use crate::error::Failure;
use crate::signals::unless_interrupted;
use crate::terminal::Terminal;

fn main() -> ExitCode {
    let arguments = Arguments::from_command_line();
    let terminal = Terminal::new(&arguments.output);
    terminal::warnings::print_to(&terminal);
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return terminal.fail(&Failure::system("cannot start", error)),
    };
    let outcome = runtime.block_on(run(arguments.command, &terminal));
    // A thread that still waits for standard input must not keep the process.
    runtime.shutdown_background();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => terminal.fail(&failure),
    }
}

/// Commands that leave nothing behind when they are dropped half-way are interrupted here, the others see to it
/// themselves.
async fn run(command: Command, terminal: &Terminal) -> Result<(), Failure> {
    match command {
        // The largest of its commands' futures, too large to be moved about.
        Command::Agent { command } => Box::pin(run_agent(command, terminal)).await,
        Command::Local { command } => match command {
            LocalCommand::Up(arguments) => local::up::run(arguments, terminal).await,
            LocalCommand::Down(arguments) => {
                unless_interrupted(local::down::run(arguments, terminal)).await
            }
            LocalCommand::Status(arguments) => {
                unless_interrupted(local::status::run(arguments, terminal)).await
            }
            LocalCommand::Env(arguments) => local::env::run(arguments, terminal).await,
        },
        Command::Doctor(arguments) => {
            // Holds a whole platform for a moment, too large to be moved about.
            unless_interrupted(Box::pin(doctor::run(arguments, terminal))).await
        }
        Command::Completions(arguments) => completions::run(&arguments, terminal),
        Command::Man(arguments) => manual::run(&arguments, terminal),
    }
}

async fn run_agent(command: AgentCommand, terminal: &Terminal) -> Result<(), Failure> {
    match command {
        AgentCommand::Init(arguments) => {
            // Its files are written in one go, during which it cannot be dropped.
            unless_interrupted(init::run(arguments, terminal)).await
        }
        AgentCommand::Configure(arguments) => configure::run(arguments, terminal).await,
        AgentCommand::Dev(arguments) => dev::run(arguments, terminal).await,
        AgentCommand::Deploy(arguments) => deploy::run(arguments, terminal).await,
        AgentCommand::Invoke(arguments) => invoke::run(arguments, terminal).await,
        AgentCommand::List(arguments) => unless_interrupted(list::run(arguments, terminal)).await,
        AgentCommand::Status(arguments) => {
            unless_interrupted(status::run(arguments, terminal)).await
        }
        AgentCommand::Logs(arguments) => unless_interrupted(logs::run(arguments, terminal)).await,
        AgentCommand::Stop(arguments) => {
            unless_interrupted(Box::pin(stop::run(arguments, terminal))).await
        }
        AgentCommand::Delete(arguments) => {
            unless_interrupted(Box::pin(delete::run(arguments, terminal))).await
        }
    }
}
