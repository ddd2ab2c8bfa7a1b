//! The command line: commands, flags and their help.

mod agent;
mod exec;
mod headers;
mod local;
mod logs;
mod point_in_time;
mod selection;
mod traces;
mod usage_error;
mod values;
mod variables;

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use clap::{ArgAction, ArgMatches, Args, CommandFactory as _, FromArgMatches as _};
use clap::{Parser, Subcommand};
use ppio_agent_protocol::environment::is_blank;

pub(crate) use self::agent::{
    AgentCommand, AgentProtocol, AttachArguments, CancelArguments, ConfigureArguments,
    DeleteArguments, DeployArguments, DevArguments, InitArguments, InvokeArguments, ListArguments,
    ProjectTemplate, RunArguments, RunsArguments, StatusArguments, StopArguments,
};
pub(crate) use self::exec::ExecArguments;
pub(crate) use self::headers::HeaderArguments;
pub(crate) use self::local::{
    DownArguments, EnvArguments, EnvSyntax, LocalCommand, LocalStatusArguments, UpArguments,
};
pub(crate) use self::logs::{LineArguments, LogsArguments};
pub(crate) use self::selection::{AgentArguments, PlatformArguments};
pub(crate) use self::traces::{TracesCommand, TracesGetArguments, TracesListArguments};
pub(crate) use self::variables::variables;

use crate::terminal::{OutputFormat, Terminal};

const EXIT_CODES: &str = "\
Exit codes:
  0    success
  1    the agent failed, or its new API breaks callers
  2    the command line, the project or the configuration is not valid
  3    the platform refused a request, failed or cannot be reached
  4    an error of this machine
  130  ended by Ctrl-C
  143  ended by SIGTERM or SIGHUP
`agent exec` exits with the code of its program.";

/// From an empty folder to a deployed agent.
#[derive(Debug, Parser)]
#[command(name = "ppio-sandbox-cli", version)]
#[command(after_long_help = EXIT_CODES)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) output: OutputArguments,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Args)]
pub(crate) struct OutputArguments {
    /// The format of results: `json` is one document, or one per line if there are several
    #[arg(
        long = "output",
        short = 'o',
        global = true,
        value_enum,
        default_value = "text",
        value_name = "FORMAT",
        help_heading = "Printing"
    )]
    pub(crate) format: OutputFormat,
    /// Print results and errors only
    #[arg(long, short, global = true, help_heading = "Printing")]
    pub(crate) quiet: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Write, run, deploy and call an agent
    Agent {
        #[command(subcommand)]
        command: AgentCommand,
    },
    /// Run the platform on this machine, without an account
    Local {
        #[command(subcommand)]
        command: LocalCommand,
    },
    /// Check whether this machine and the platform are ready, and print help for each problem
    Doctor(DoctorArguments),
    /// Print a completion script for a shell
    Completions(CompletionsArguments),
    /// Print or write the manual pages
    Man(ManArguments),
}

#[derive(Debug, Args)]
pub(crate) struct DoctorArguments {
    #[command(flatten)]
    pub(crate) platform: PlatformArguments,
}

#[derive(Debug, Args)]
pub(crate) struct CompletionsArguments {
    /// The shell
    #[arg(value_enum)]
    pub(crate) shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
pub(crate) struct ManArguments {
    /// The folder for a page of each command; without it the first page is printed
    #[arg(value_name = "DIR")]
    pub(crate) directory: Option<PathBuf>,
}

/// The id of the `--json` flag that [`Arguments::definition`] adds.
const JSON: &str = "as_json";

impl Arguments {
    /// The definition of all commands, for parsing, completions and manual pages.
    ///
    /// `--json` is short for `--output json`, except that `agent invoke` takes a request there. A
    /// global argument cannot differ in one command, so each command gets its own, except
    /// `completions` and `man`.
    pub(crate) fn definition() -> clap::Command {
        with_json_flag(Self::command())
    }

    /// Parses the command line. Exits after printing help or an error, the latter as JSON if the
    /// command line selects JSON output.
    pub(crate) fn from_command_line() -> Self {
        let words: Vec<_> = std::env::args_os().collect();
        Self::parse_words(&words).unwrap_or_else(|error| {
            let format = usage_error::format_of(words.get(1..).unwrap_or_default());
            // Help and the version go to standard output.
            if format == OutputFormat::Text || error.exit_code() == 0 {
                error.exit();
            }
            let error = usage_error::usage_error(&error);
            Terminal::new(format, false).print_error(&error);
            std::process::exit(error.kind.exit_code().into());
        })
    }

    fn parse_words(words: &[OsString]) -> Result<Self, clap::Error> {
        let lookup = |name: &OsStr| std::env::var_os(name);
        let definition = without_empty_variables(Self::definition(), &lookup);
        let matches = definition.try_get_matches_from(words)?;
        let has_json_flag = has_json_flag(&matches);
        let mut arguments = Self::from_arg_matches(&matches)?;
        if has_json_flag || arguments.invokes_with_json_output() {
            arguments.output.format = OutputFormat::Json;
        }
        Ok(arguments)
    }

    fn invokes_with_json_output(&self) -> bool {
        match &self.command {
            Command::Agent {
                command: AgentCommand::Invoke(invoke),
            } => invoke.json == Some(None),
            _ => false,
        }
    }
}

fn with_json_flag(mut command: clap::Command) -> clap::Command {
    let names: Vec<_> = command
        .get_subcommands()
        .map(|command| command.get_name().to_owned())
        .collect();
    for name in names {
        command = command.mut_subcommand(name, with_json_flag);
    }
    let has_its_own = command
        .get_arguments()
        .any(|argument| argument.get_long() == Some("json"));
    // The output of `completions` and `man` has a format of its own.
    if has_its_own || matches!(command.get_name(), "completions" | "man") {
        return command;
    }
    command.arg(
        clap::Arg::new(JSON)
            .long("json")
            .action(ArgAction::SetTrue)
            .help_heading("Printing")
            .help("Short for `--output json`"),
    )
}

/// Treats an environment variable that is empty or blank as not set.
fn without_empty_variables(
    command: clap::Command,
    lookup: &dyn Fn(&OsStr) -> Option<OsString>,
) -> clap::Command {
    let command = command.mut_args(|argument| {
        let value = argument.get_env().and_then(lookup);
        if value.is_some_and(is_blank) {
            argument.env(None::<&'static str>)
        } else {
            argument
        }
    });
    command.mut_subcommands(|command| without_empty_variables(command, lookup))
}

fn has_json_flag(matches: &ArgMatches) -> bool {
    let here = matches.try_get_one::<bool>(JSON);
    here.is_ok_and(|json| json == Some(&true))
        || matches
            .subcommand()
            .is_some_and(|(_, matches)| has_json_flag(matches))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        Arguments::definition().debug_assert();
    }

    #[test]
    fn every_command_argument_and_value_has_help() {
        let mut definition = Arguments::definition();
        // Adds `--help`, `--version` and the command `help`.
        definition.build();
        let mut without = Vec::new();
        collect_without_help(&definition, &mut without);
        assert!(without.is_empty(), "without help: {without:#?}");
    }

    fn collect_without_help(command: &clap::Command, without: &mut Vec<String>) {
        let path = command.get_bin_name().unwrap_or_default().to_owned();
        let mut check = |what: String, help: Option<String>| {
            if help.is_none_or(|help| help.trim().is_empty()) {
                without.push(what);
            }
        };
        check(path.clone(), command.get_about().map(ToString::to_string));
        for argument in command
            .get_arguments()
            .filter(|argument| !argument.is_hide_set())
        {
            let name = format!("{path} {argument}");
            check(name.clone(), argument.get_help().map(ToString::to_string));
            // The names of shells need no help.
            let values = argument.get_possible_values();
            let helped = values.iter().filter(|value| value.get_help().is_some());
            if helped.count() % values.len().max(1) != 0 {
                check(format!("{name}: some of its values"), None);
            }
        }
        for command in command
            .get_subcommands()
            .filter(|command| !command.is_hide_set())
        {
            collect_without_help(command, without);
        }
    }

    #[test]
    fn an_empty_variable_is_not_set() {
        for blank in ["", " ", "\t\n"] {
            let definition =
                without_empty_variables(Arguments::definition(), &|_| Some(blank.into()));
            let mut variables = 0;
            let mut commands = vec![definition];
            while let Some(command) = commands.pop() {
                variables += command
                    .get_arguments()
                    .filter_map(clap::Arg::get_env)
                    .count();
                commands.extend(command.get_subcommands().cloned());
            }
            assert_eq!(variables, 0, "{blank:?}");
        }
        let set = without_empty_variables(Arguments::definition(), &|_| Some("t".into()));
        let invoke = set
            .find_subcommand("agent")
            .and_then(|agent| agent.find_subcommand("invoke"));
        let arguments = invoke.expect("it exists").get_arguments();
        assert_eq!(arguments.filter_map(clap::Arg::get_env).count(), 1);
    }
}
