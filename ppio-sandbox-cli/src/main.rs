//! `ppio-sandbox-cli`: from an empty folder to a deployed agent.
//!
//! `arguments` is what can be typed; one file under `agent/` or `local/` is one command; `failure` is how a command
//! ends badly, with the exit code that scripts read; `terminal` is the only place that prints.

mod agent;
mod arguments;
mod compile;
mod edit;
mod failure;
mod local;
mod project;
mod terminal;

use std::process::ExitCode;

use clap::Parser as _;

use crate::arguments::{AgentCommand, Arguments, Command, LocalCommand};
use crate::failure::Failure;
use crate::terminal::Terminal;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let terminal = Terminal::new(&arguments.output);
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return terminal.fail(&Failure::system("cannot start", error)),
    };
    match runtime.block_on(run(arguments.command, &terminal)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => terminal.fail(&failure),
    }
}

async fn run(command: Command, terminal: &Terminal) -> Result<(), Failure> {
    match command {
        Command::Agent { command } => match command {
            AgentCommand::Init(arguments) => agent::init::run(arguments, terminal).await,
            AgentCommand::Configure(arguments) => agent::configure::run(arguments, terminal).await,
            AgentCommand::Dev(arguments) => agent::dev::run(arguments, terminal).await,
            AgentCommand::Deploy(arguments) => agent::deploy::run(arguments, terminal).await,
            AgentCommand::Invoke(arguments) => agent::invoke::run(arguments, terminal).await,
            AgentCommand::List(arguments) => agent::list::run(arguments, terminal).await,
            AgentCommand::Status(arguments) => agent::status::run(arguments, terminal).await,
            AgentCommand::Logs(arguments) => agent::logs::run(arguments, terminal).await,
            AgentCommand::Stop(arguments) => agent::stop::run(arguments, terminal).await,
            AgentCommand::Delete(arguments) => agent::delete::run(arguments, terminal).await,
        },
        Command::Local { command } => match command {
            LocalCommand::Up(arguments) => local::up::run(arguments, terminal).await,
            LocalCommand::Down(arguments) => local::down::run(arguments, terminal).await,
            LocalCommand::Status => local::status::run(terminal).await,
            LocalCommand::Env(arguments) => local::env::run(arguments, terminal).await,
        },
    }
}
