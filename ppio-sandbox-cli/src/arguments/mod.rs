//! What can be typed.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, ArgMatches, Args, CommandFactory as _, FromArgMatches as _, Parser};
use clap::{Subcommand, ValueEnum};

use crate::terminal::Format;

const EXIT_CODES: &str = "\
Exit codes:
  0    success
  1    the agent failed
  2    wrong usage, project or configuration
  3    the platform refused, failed or is not there
  4    something on this machine failed
  130  interrupted with Ctrl-C";

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

/// How to print.
#[derive(Debug, Args)]
pub(crate) struct OutputArguments {
    /// How results are printed: `json` is one document, or one a line where they come one by one
    #[arg(
        long = "output",
        short = 'o',
        global = true,
        value_enum,
        default_value = "text",
        value_name = "FORMAT",
        help_heading = "Printing"
    )]
    pub(crate) format: Format,
    /// Print results and errors only
    #[arg(long, short, global = true, help_heading = "Printing")]
    pub(crate) quiet: bool,
}

/// `--json`, which every command but one takes; see [`Arguments::definition`].
const JSON: &str = "as_json";

impl Arguments {
    /// Everything that can be typed, for parsing, completions and manual pages.
    ///
    /// `--json` is short for `--output json` everywhere but behind `agent invoke`, where it may also name the request.
    /// A global argument cannot differ in one place, so each command gets its own.
    pub(crate) fn definition() -> clap::Command {
        with_json(Self::command())
    }

    /// Reads the command line; prints help or what is wrong with it, and exits, where that is all there is to do.
    pub(crate) fn from_command_line() -> Self {
        let matches = Self::definition().get_matches();
        let as_json = asks_for_json(&matches);
        let mut arguments = Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
        if as_json || arguments.invokes_as_json() {
            arguments.output.format = Format::Json;
        }
        arguments
    }

    fn invokes_as_json(&self) -> bool {
        match &self.command {
            Command::Agent {
                command: AgentCommand::Invoke(invoke),
            } => invoke.json == Some(None),
            _ => false,
        }
    }
}

fn with_json(mut command: clap::Command) -> clap::Command {
    let names: Vec<_> = command
        .get_subcommands()
        .map(|command| command.get_name().to_owned())
        .collect();
    for name in names {
        command = command.mut_subcommand(name, with_json);
    }
    let has_its_own = command
        .get_arguments()
        .any(|argument| argument.get_long() == Some("json"));
    // What these print is made for other programs already.
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

fn asks_for_json(matches: &ArgMatches) -> bool {
    let here = matches.try_get_one::<bool>(JSON);
    let below = matches.subcommand();
    here.is_ok_and(|json| json == Some(&true))
        || below.is_some_and(|(_, matches)| asks_for_json(matches))
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Write, run, deploy and call an agent
    Agent {
        #[command(subcommand)]
        command: AgentCommand,
    },
    /// The platform on this machine, without an account
    Local {
        #[command(subcommand)]
        command: LocalCommand,
    },
    /// Check whether this machine and the platform are ready, and say what to do where they are not
    Doctor(DoctorArguments),
    /// Print a script with which a shell completes this command
    Completions(CompletionsArguments),
    /// Write the manual
    Man(ManArguments),
}

#[derive(Debug, Subcommand)]
pub(crate) enum AgentCommand {
    /// Start a new agent project that compiles at once
    Init(InitArguments),
    /// Fill in what agent.yaml lacks
    Configure(ConfigureArguments),
    /// Build and run the agent here, again on every change
    Dev(DevArguments),
    /// Build the project into a template that sessions are made from
    Deploy(DeployArguments),
    /// Call a deployed agent and print its answer as it comes
    ///
    /// Texts in a streamed answer are printed as they come, other items as a line of JSON each. Without `--input` and
    /// `--json FILE` the prompt is read from standard input, unless that is a terminal.
    Invoke(InvokeArguments),
    /// List deployed agents
    List(ListArguments),
    /// Show the project's deployment and its sessions
    Status(StatusArguments),
    /// Print what the agent in a session wrote
    Logs(LogsArguments),
    /// Close the sessions of an agent
    Stop(StopArguments),
    /// Delete a deployed agent
    Delete(DeleteArguments),
}

#[derive(Debug, Subcommand)]
pub(crate) enum LocalCommand {
    /// Start the platform
    Up(UpArguments),
    /// Stop the platform and its sandboxes
    Down(DownArguments),
    /// Tell whether the platform runs, and what runs on it
    Status(LocalStatusArguments),
    /// Print the variables with which each SDK uses the platform
    Env(EnvArguments),
}

/// Where to deploy to or call.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct PlatformArguments {
    /// Use the platform on this machine, whatever keys are set
    #[arg(long, conflicts_with = "remote", help_heading = "Platform")]
    pub(crate) local: bool,
    /// Use the platform that the environment names (`PPIO_API_KEY`, `PPIO_API_URL`, …); the default where a key is set
    #[arg(long, help_heading = "Platform")]
    pub(crate) remote: bool,
}

/// Where the project is.
#[derive(Debug, Clone, Args)]
pub(crate) struct ProjectArguments {
    /// The project's folder, the one with agent.yaml
    #[arg(long, short = 'C', value_name = "DIR", default_value = ".")]
    pub(crate) project: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProjectTemplate {
    /// A value in, a value out
    Hello,
    /// An answer item by item
    Stream,
    /// Streaming from an OpenAI-compatible model
    LlmChat,
}

#[derive(Debug, Args)]
pub(crate) struct InitArguments {
    /// The agent's name: lower-case letters, digits and hyphens
    #[arg(long)]
    pub(crate) name: String,
    /// What to start from
    #[arg(long, value_enum, default_value = "hello")]
    pub(crate) template: ProjectTemplate,
    /// The file with the entrypoint: src/main.rs, or an agent.py for a Python project
    #[arg(long, value_name = "FILE", default_value = "src/main.rs")]
    pub(crate) entrypoint: String,
    /// The author's e-mail address; git's `user.email` if left out
    #[arg(long, value_name = "EMAIL")]
    pub(crate) author: Option<String>,
    /// The folder to write into; the name if left out
    #[arg(value_name = "DIR")]
    pub(crate) directory: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct ConfigureArguments {
    #[command(flatten)]
    pub(crate) project: ProjectArguments,
    #[arg(long)]
    pub(crate) name: Option<String>,
    #[arg(long)]
    pub(crate) agent_version: Option<String>,
    #[arg(long, value_name = "EMAIL")]
    pub(crate) author: Option<String>,
    #[arg(long)]
    pub(crate) description: Option<String>,
    #[arg(long, value_name = "FILE")]
    pub(crate) entrypoint: Option<String>,
    /// How long a start may take, in seconds (1 to 3600)
    #[arg(long, value_name = "SECONDS")]
    pub(crate) timeout: Option<u32>,
    /// As in `512Mi` or `1Gi`
    #[arg(long, value_name = "SIZE")]
    pub(crate) memory: Option<String>,
    /// As in `1` or `500m`
    #[arg(long, value_name = "CPUS")]
    pub(crate) cpu: Option<String>,
    /// Write without asking
    #[arg(long, short)]
    pub(crate) yes: bool,
}

const DEV_HELP: &str = "\
The port is one of 127.0.0.1. Programs and pages of this machine may use it; a request for another host, or of a page of \
another origin, is refused unless PPIO_AGENT_ALLOWED_HOSTS or PPIO_AGENT_CORS_ORIGINS names the host or the origin.";

#[derive(Debug, Args)]
#[command(after_long_help = DEV_HELP)]
pub(crate) struct DevArguments {
    #[command(flatten)]
    pub(crate) project: ProjectArguments,
    /// The port to serve on
    #[arg(long, default_value_t = 8080)]
    pub(crate) port: u16,
    /// Build with optimisations
    #[arg(long)]
    pub(crate) release: bool,
}

const DEPLOY_HELP: &str = "\
A Rust project is sent as one program, with agent.yaml and the files and folders that `spec.files` there lists. A Python \
project is sent whole, without what .dockerignore leaves out, and its requirements.txt is installed.

Left out are also secrets by their names (.env, .ssh, *.pem, …) and links to nothing; the output lists them. A link that \
leads out of the project is an error. `--include PATTERN` sends a secret all the same; a `!` in .dockerignore does not.

The template is called after the agent, and this build of it after the version: my-agent:1.0.0.

Where no API key is set, the platform on this machine is used, and started if it does not run. Ctrl-C leaves agent.yaml \
as it was; a build that the platform has begun by then it brings to its end.

With JSON output, each thing that happens is a line of standard output at once:
  {\"event\": \"compiling\", \"target\": …}
  {\"event\": \"compiler\", \"level\": …, \"message\": …}  as the compiler says it
  {\"event\": \"compiled\", \"duration\": …}
  {\"event\": \"left_out\", \"files\": [{\"path\": …, \"reason\": …}, …]}
  {\"event\": \"warning\", \"message\": …}
  {\"event\": \"deploying\", \"name\": …, \"version\": …, \"platform\": …, \"template_id\": …, \"build_id\": …}
  {\"event\": \"uploading\", \"files\": …, \"bytes\": …, \"sent\": …}  twice a second
  {\"event\": \"uploaded\", \"files\": …, \"bytes\": …, \"reused\": …}
  {\"event\": \"building\", \"steps\": […]}
  {\"event\": \"step\", \"step\": …, \"command\": …}
  {\"event\": \"log\", \"timestamp\": …, \"level\": …, \"step\": …, \"message\": …}
The last line is the result, and the only one with `--quiet`:
  {\"event\": \"deployed\", \"name\": …, \"version\": …, \"template_id\": …, \"build_id\": …, …}
or, when it failed,
  {\"event\": \"failed\", \"error\": …, \"causes\": […], \"exit_code\": …, \"step\": {…}, \"log\": […], …}
which stands on standard error, too. Programs should ignore events and fields that they do not know.

Example:
  template=$(ppio-sandbox-cli agent deploy --json --quiet | jq -r .template_id)";

#[derive(Debug, Args)]
#[command(after_long_help = DEPLOY_HELP)]
pub(crate) struct DeployArguments {
    #[command(flatten)]
    pub(crate) project: ProjectArguments,
    #[command(flatten)]
    pub(crate) platform: PlatformArguments,
    /// Set a variable for the agent, from this environment where no value is given; it can be read by whoever may use the
    /// template
    #[arg(long, value_name = "NAME[=VALUE]", value_parser = not_empty)]
    pub(crate) env: Vec<String>,
    /// Send files although their names are those of secrets or .dockerignore leaves them out: a path of the project, or
    /// a pattern as in .dockerignore
    #[arg(long, value_name = "PATTERN", value_parser = not_empty)]
    pub(crate) include: Vec<String>,
    /// Build for this target, or for this machine with `host`; a static one where it is installed if left out
    #[arg(long, value_name = "TRIPLE", value_parser = not_empty)]
    pub(crate) target: Option<String>,
}

/// Which agent.
#[derive(Debug, Clone, Args)]
pub(crate) struct AgentArguments {
    #[command(flatten)]
    pub(crate) project: ProjectArguments,
    #[command(flatten)]
    pub(crate) platform: PlatformArguments,
    /// The agent's template, by id or name; the one that agent.yaml names if left out
    #[arg(long, value_name = "ID", env = "PPIO_TEMPLATE_ID", value_parser = not_empty)]
    pub(crate) template_id: Option<String>,
}

const INVOKE_HELP: &str = "\
With JSON output, an answer in one piece is one line
  {\"result\": …, \"session_id\": …, \"request_id\": …, \"duration\": …, \"kept\": …}
and a streamed one is a line for each item, and one for its end:
  {\"item\": …}
  {\"end\": {\"items\": …, \"session_id\": …, \"request_id\": …, \"duration\": …, \"kept\": …}}

Examples:
  ppio-sandbox-cli agent invoke --input 'tell me a story'
  ppio-sandbox-cli agent invoke --json request.json
  ppio-sandbox-cli agent invoke --json '{\"prompt\": \"hi\"}' --output json
  git diff | ppio-sandbox-cli agent invoke --template-id reviewer";

#[derive(Debug, Args)]
#[command(after_long_help = INVOKE_HELP)]
pub(crate) struct InvokeArguments {
    #[command(flatten)]
    pub(crate) agent: AgentArguments,
    /// The prompt: the request is `{"prompt": TEXT}`
    #[arg(long, value_name = "TEXT")]
    pub(crate) input: Option<String>,
    /// The request: JSON in a file, from standard input with `-`, or itself where it begins with `{`. Alone, short for
    /// `--output json`
    #[arg(long, value_name = "FILE", num_args = 0..=1)]
    #[expect(clippy::option_option, reason = "absent, alone, with a value")]
    pub(crate) json: Option<Option<String>>,
    /// Call in this session, which stays open; a paused one is resumed
    #[arg(long, value_name = "ID", value_parser = not_empty)]
    pub(crate) session: Option<String>,
    /// Leave the new session open and tell its id
    #[arg(long, conflicts_with = "session")]
    pub(crate) keep: bool,
    /// Give up after this many seconds, the agent's start included
    #[arg(long, value_name = "SECONDS", default_value = "300", value_parser = seconds)]
    pub(crate) timeout: Duration,
}

#[derive(Debug, Args)]
pub(crate) struct ListArguments {
    #[command(flatten)]
    pub(crate) platform: PlatformArguments,
}

#[derive(Debug, Args)]
pub(crate) struct StatusArguments {
    #[command(flatten)]
    pub(crate) agent: AgentArguments,
}

#[derive(Debug, Args)]
pub(crate) struct LogsArguments {
    #[command(flatten)]
    pub(crate) agent: AgentArguments,
    /// The session; the newest one of the agent if left out
    #[arg(long, value_name = "ID", value_parser = not_empty)]
    pub(crate) session: Option<String>,
    /// Go on as lines come, until the session ends
    #[arg(long, short)]
    pub(crate) follow: bool,
}

#[derive(Debug, Args)]
pub(crate) struct StopArguments {
    #[command(flatten)]
    pub(crate) agent: AgentArguments,
    /// One session; all of the agent if left out
    #[arg(long, value_name = "ID", value_parser = not_empty)]
    pub(crate) session: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct DeleteArguments {
    #[command(flatten)]
    pub(crate) agent: AgentArguments,
    /// Delete without asking
    #[arg(long, short)]
    pub(crate) yes: bool,
}

#[derive(Debug, Default, Args)]
pub(crate) struct UpArguments {
    /// Go on in the background
    #[arg(long, short)]
    pub(crate) detach: bool,
    /// The port to listen on; any free one if 0
    #[arg(long, default_value_t = 0)]
    pub(crate) port: u16,
    /// Speak TLS too, for clients that insist on it
    #[arg(long)]
    pub(crate) tls: bool,
    /// Show sandboxes one more file or folder of this machine, read-only
    #[arg(long, value_name = "PATH")]
    pub(crate) expose: Vec<PathBuf>,
    /// What `--detach` starts
    #[arg(long, hide = true, conflicts_with = "detach")]
    pub(crate) in_background: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DownArguments {}

#[derive(Debug, Args)]
pub(crate) struct LocalStatusArguments {}

#[derive(Debug, Args)]
pub(crate) struct EnvArguments {
    /// For which shell the variables are written
    #[arg(long, value_enum, default_value = "sh")]
    pub(crate) shell: EnvSyntax,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum EnvSyntax {
    /// `export NAME='value'`: bash, zsh and every other POSIX shell
    Sh,
    /// `set -gx NAME 'value'`
    Fish,
    /// `NAME=value`: files for docker, systemd and many libraries
    Dotenv,
}

#[derive(Debug, Args)]
pub(crate) struct DoctorArguments {
    #[command(flatten)]
    pub(crate) platform: PlatformArguments,
}

#[derive(Debug, Args)]
pub(crate) struct CompletionsArguments {
    /// Which shell
    #[arg(value_enum)]
    pub(crate) shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
pub(crate) struct ManArguments {
    /// The folder to write a page for each command into; the first page goes to standard output if left out
    #[arg(value_name = "DIR")]
    pub(crate) directory: Option<PathBuf>,
}

fn not_empty(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        return Err("it is empty".to_owned());
    }
    Ok(text.to_owned())
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: u64 = text
        .parse()
        .map_err(|_| "a number of seconds is wanted, as in 60".to_owned())?;
    if seconds == 0 {
        return Err("1 second or more is wanted".to_owned());
    }
    Ok(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_holds_together() {
        Arguments::definition().debug_assert();
    }
}
