//! What can be typed.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// From an empty folder to a deployed agent.
#[derive(Debug, Parser)]
#[command(name = "ppio-sandbox-cli", version, propagate_version = true)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) output: OutputArguments,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// How to print.
#[derive(Debug, Args)]
pub(crate) struct OutputArguments {
    /// Print one JSON document (or one per line) for scripts
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Print results and errors only
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
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
    Status,
    /// Print the variables with which each SDK uses the platform
    Env(EnvArguments),
}

/// Where to deploy to or call.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct PlatformArguments {
    /// Use the platform on this machine, whatever keys are set
    #[arg(long, conflicts_with = "remote")]
    pub(crate) local: bool,
    /// Use the cloud; needs `PPIO_API_KEY`
    #[arg(long)]
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

#[derive(Debug, Args)]
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

#[derive(Debug, Args)]
pub(crate) struct DeployArguments {
    #[command(flatten)]
    pub(crate) project: ProjectArguments,
    #[command(flatten)]
    pub(crate) platform: PlatformArguments,
}

#[derive(Debug, Args)]
pub(crate) struct InvokeArguments {
    #[command(flatten)]
    pub(crate) project: ProjectArguments,
    #[command(flatten)]
    pub(crate) platform: PlatformArguments,
    /// The template to call; the one that agent.yaml names if left out
    #[arg(long, value_name = "ID", env = "PPIO_TEMPLATE_ID")]
    pub(crate) template_id: Option<String>,
    /// A prompt
    #[arg(long, value_name = "TEXT", conflicts_with = "json_file")]
    pub(crate) input: Option<String>,
    /// A JSON request from a file, or from standard input with `-`
    #[arg(long = "json-file", value_name = "FILE")]
    pub(crate) json_file: Option<PathBuf>,
    /// Call in this session, which stays open
    #[arg(long, value_name = "ID")]
    pub(crate) session: Option<String>,
    /// Leave the session open and print its id
    #[arg(long)]
    pub(crate) keep: bool,
    /// Give up after this many seconds
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
    pub(crate) project: ProjectArguments,
    #[command(flatten)]
    pub(crate) platform: PlatformArguments,
}

#[derive(Debug, Args)]
pub(crate) struct LogsArguments {
    #[command(flatten)]
    pub(crate) project: ProjectArguments,
    #[command(flatten)]
    pub(crate) platform: PlatformArguments,
    /// The session; the newest one of the project's agent if left out
    #[arg(long, value_name = "ID")]
    pub(crate) session: Option<String>,
    /// Go on as lines come
    #[arg(long, short)]
    pub(crate) follow: bool,
}

#[derive(Debug, Args)]
pub(crate) struct StopArguments {
    #[command(flatten)]
    pub(crate) project: ProjectArguments,
    #[command(flatten)]
    pub(crate) platform: PlatformArguments,
    /// One session; all of the project's agent if left out
    #[arg(long, value_name = "ID")]
    pub(crate) session: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct DeleteArguments {
    #[command(flatten)]
    pub(crate) project: ProjectArguments,
    #[command(flatten)]
    pub(crate) platform: PlatformArguments,
    /// The template; the one that agent.yaml names if left out
    #[arg(long, value_name = "ID")]
    pub(crate) template_id: Option<String>,
    /// Delete without asking
    #[arg(long, short)]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
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
}

#[derive(Debug, Args)]
pub(crate) struct DownArguments {}

#[derive(Debug, Args)]
pub(crate) struct EnvArguments {}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: u64 = text
        .parse()
        .map_err(|_| "a number of seconds is wanted, as in 60".to_owned())?;
    if seconds == 0 {
        return Err("1 second or more is wanted".to_owned());
    }
    Ok(Duration::from_secs(seconds))
}
