//! `ppio-sandbox-cli`: from an empty folder to a deployed agent.
//!
//! Each command has a module of its name, which is a folder if it has more than one file. The other
//! modules are shared by several commands: `arguments`, `platform`, `project`, `terminal`,
//! `external_program`, `log_level`, `shell`, `signals`, `error`.

mod arguments;
mod attach;
mod cancel;
mod completions;
mod configure;
mod delete;
mod deploy;
mod dev;
mod doctor;
mod error;
mod exec;
mod external_program;
mod init;
mod invoke;
mod list;
mod local;
mod log_level;
mod logs;
mod man;
mod platform;
mod project;
mod runs;
mod shell;
mod signals;
mod status;
mod stop;
mod terminal;
mod traces;

use std::process::ExitCode;

use crate::arguments::{AgentCommand, Arguments, Command, LocalCommand};
use crate::error::CliError;
use crate::signals::or_interrupted;
use crate::terminal::Terminal;

fn main() -> ExitCode {
    let arguments = Arguments::from_command_line();
    let terminal = Terminal::new(arguments.output.format, arguments.output.quiet);
    terminal::warnings::print_to(&terminal);
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            let error = CliError::system("cannot start the async runtime", error);
            return terminal.print_error(&error);
        }
    };
    let outcome = runtime.block_on(run(arguments.command, &terminal));
    // Does not wait for a thread that is blocked on standard input.
    runtime.shutdown_background();
    match outcome {
        Ok(code) => code,
        Err(error) => terminal.print_error(&error),
    }
}

/// Runs a command and returns its exit code, which is 0 unless the command runs a program.
///
/// On a signal, commands that wait and need no cleanup are dropped here. Commands that need cleanup
/// handle signals themselves. Commands that never wait, such as `completions`, handle no signals.
async fn run(command: Command, terminal: &Terminal) -> Result<ExitCode, CliError> {
    match command {
        // Boxed: the future of its largest command is large.
        Command::Agent { command } => return Box::pin(run_agent(command, terminal)).await,
        Command::Local { command } => match command {
            LocalCommand::Up(arguments) => local::up::run(arguments, terminal).await,
            LocalCommand::Down(arguments) => {
                or_interrupted(local::down::run(arguments, terminal)).await
            }
            LocalCommand::Status(arguments) => {
                or_interrupted(local::status::run(arguments, terminal)).await
            }
            LocalCommand::Env(arguments) => local::env::run(arguments, terminal).await,
        },
        Command::Doctor(arguments) => {
            // Boxed: the future holds a local platform.
            or_interrupted(Box::pin(doctor::run(arguments, terminal))).await
        }
        Command::Completions(arguments) => completions::run(&arguments, terminal),
        Command::Man(arguments) => man::run(&arguments, terminal),
    }?;
    Ok(ExitCode::SUCCESS)
}

async fn run_agent(command: AgentCommand, terminal: &Terminal) -> Result<ExitCode, CliError> {
    match command {
        AgentCommand::Init(arguments) => {
            // `init` writes its files without an await point, so the future is not dropped between
            // two files.
            or_interrupted(init::run(arguments, terminal)).await
        }
        AgentCommand::Configure(arguments) => configure::run(arguments, terminal).await,
        AgentCommand::Dev(arguments) => dev::run(arguments, terminal).await,
        AgentCommand::Deploy(arguments) => deploy::run(arguments, terminal).await,
        AgentCommand::Invoke(arguments) => invoke::run(arguments, terminal).await,
        AgentCommand::Runs(arguments) => or_interrupted(runs::run(arguments, terminal)).await,
        AgentCommand::Attach(arguments) => attach::run(arguments, terminal).await,
        AgentCommand::Cancel(arguments) => {
            or_interrupted(Box::pin(cancel::run(arguments, terminal))).await
        }
        AgentCommand::List(arguments) => or_interrupted(list::run(arguments, terminal)).await,
        AgentCommand::Status(arguments) => or_interrupted(status::run(arguments, terminal)).await,
        AgentCommand::Exec(arguments) => return exec::run(arguments, terminal).await,
        AgentCommand::Logs(arguments) => or_interrupted(logs::run(arguments, terminal)).await,
        AgentCommand::Traces { command } => or_interrupted(traces::run(command, terminal)).await,
        AgentCommand::Stop(arguments) => {
            or_interrupted(Box::pin(stop::run(arguments, terminal))).await
        }
        AgentCommand::Delete(arguments) => {
            or_interrupted(Box::pin(delete::run(arguments, terminal))).await
        }
    }?;
    Ok(ExitCode::SUCCESS)
}
