//! The arguments of `agent`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

use super::exec::ExecArguments;
use super::headers::HeaderArguments;
use super::logs::LogsArguments;
use super::selection::{AgentArguments, PlatformArguments, ProjectArguments};
use super::traces::TracesCommand;
use super::values::{not_empty, seconds, seed};

#[derive(Debug, Subcommand)]
pub(crate) enum AgentCommand {
    /// Create a new agent project
    Init(InitArguments),
    /// Fill in the missing values of agent.yaml
    Configure(ConfigureArguments),
    /// Build and run the agent on this machine, again on every change
    Dev(DevArguments),
    /// Build the project into a template, from which sessions are created
    Deploy(DeployArguments),
    /// Call a deployed agent and print its answer as it arrives
    ///
    /// Strings in a streamed answer are printed as one text, other items as a line of JSON each.
    /// Without `--input`, `--file` and `--json FILE` the prompt is read from standard input, unless
    /// that is a terminal.
    Invoke(InvokeArguments),
    /// List the runs that the sessions of an agent keep
    Runs(RunsArguments),
    /// Print the answer of a run, from its start or after an item, until it ends
    ///
    /// Ctrl-C ends the output, not the run.
    Attach(AttachArguments),
    /// Cancel a run
    Cancel(CancelArguments),
    /// List the deployed agents
    List(ListArguments),
    /// Show the project's deployment and its sessions
    Status(StatusArguments),
    /// Print the output of the agent in a session
    Logs(LogsArguments),
    /// Show the traces of the agent that `agent dev` runs
    Traces {
        #[command(subcommand)]
        command: TracesCommand,
    },
    /// Open a shell or run a program in a session
    Exec(ExecArguments),
    /// Close the sessions of an agent
    Stop(StopArguments),
    /// Delete a deployed agent
    Delete(DeleteArguments),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProjectTemplate {
    /// Returns a value
    Hello,
    /// Returns a stream of items
    Stream,
    /// Chats with every protocol: text, a tool and an approval
    Chat,
    /// Streams the answer of an OpenAI-compatible model
    LlmChat,
}

#[derive(Debug, Args)]
pub(crate) struct InitArguments {
    /// The agent's name: lower-case letters, digits and hyphens
    #[arg(long)]
    pub(crate) name: String,
    /// The project to start from
    #[arg(long, value_enum, default_value = "hello")]
    pub(crate) template: ProjectTemplate,
    /// The file with the entrypoint: src/main.rs, or a .py file for a Python project
    #[arg(long, value_name = "FILE", default_value = "src/main.rs")]
    pub(crate) entrypoint: String,
    /// The author's e-mail address [default: git's `user.email`]
    #[arg(long, value_name = "EMAIL")]
    pub(crate) author: Option<String>,
    /// The folder to create [default: the name]
    #[arg(value_name = "DIR")]
    pub(crate) directory: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct ConfigureArguments {
    #[command(flatten)]
    pub(crate) project: ProjectArguments,
    /// The agent's name: lower-case letters, digits and hyphens
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// The agent's version, as in 1.0.0
    #[arg(long, value_name = "VERSION")]
    pub(crate) agent_version: Option<String>,
    /// The author's e-mail address
    #[arg(long, value_name = "EMAIL")]
    pub(crate) author: Option<String>,
    /// What the agent does
    #[arg(long, value_name = "TEXT")]
    pub(crate) description: Option<String>,
    /// A tag to find the agent by; may be repeated. The tags replace those in the file
    #[arg(long, value_name = "TAG", value_parser = not_empty)]
    pub(crate) tag: Vec<String>,
    /// The file with the entrypoint
    #[arg(long, value_name = "FILE")]
    pub(crate) entrypoint: Option<String>,
    /// The longest time for a start, in seconds (1 to 3600)
    #[arg(long, value_name = "SECONDS")]
    pub(crate) timeout: Option<u32>,
    /// The memory of a sandbox, as in `512Mi` or `1Gi`
    #[arg(long, value_name = "SIZE")]
    pub(crate) memory: Option<String>,
    /// The processors of a sandbox, as in `1` or `500m`
    #[arg(long, value_name = "CPUS")]
    pub(crate) cpu: Option<String>,
    /// Write without a prompt
    #[arg(long, short)]
    pub(crate) yes: bool,
}

const DEV_HELP: &str = "\
The agent listens on 127.0.0.1 for programs and pages of this machine; requests for other \
hosts and from pages of other origins are refused, unless PPIO_AGENT_ALLOWED_HOSTS or \
PPIO_AGENT_CORS_ORIGINS lists them.

The agent has the environment of this command, and the variables in the project's .env \
(`NAME=value` lines) that the environment does not have. When the file changes, the agent is \
started again.

The agent exports traces to this command, if built with the feature `otel` of `ppio-agent`, and \
the page shows them with the log of each run, until this command ends. OTEL_EXPORTER_OTLP_ENDPOINT \
sends the traces elsewhere. For other services of this machine the endpoint is \
http://127.0.0.1:8080/_ppio/dev/otlp, with the port of `--port`.

With --chaos, of 32 calls 3 are cut in the middle of their answer, 3 are read slowly, 1 restarts \
the agent with SIGTERM, and 1 stops the agent for 2 s, like a paused sandbox. Each disturbance is \
printed with the time and the id of the run. With JSON output each is a line:
  {\"event\": \"disturbed\", \"time\": …, \"call\": …, \"run_id\": …, \"disturbance\": \"drop\"}";

#[derive(Debug, Args)]
#[command(after_long_help = DEV_HELP)]
pub(crate) struct DevArguments {
    #[command(flatten)]
    pub(crate) project: ProjectArguments,
    /// The port to listen on
    #[arg(long, default_value_t = 8080)]
    pub(crate) port: u16,
    /// Build with optimizations
    #[arg(long)]
    pub(crate) release: bool,
    /// Disturb one call in four: drop its caller, read its answer slowly, restart or pause the
    /// agent
    ///
    /// The seed is printed at the start; the same seed makes the same decisions about calls in the
    /// same order.
    #[arg(
        long,
        value_name = "SEED",
        num_args = 0..=1,
        default_missing_value = "random",
        value_parser = seed
    )]
    pub(crate) chaos: Option<u32>,
}

const DEPLOY_HELP: &str = "\
A Rust project is sent as one program, with agent.yaml and the files and folders in `spec.files`. \
A Python project is sent as a whole except what .dockerignore leaves out. The packages in \
requirements.txt are installed; without that file the project itself (`pip install .`) if its \
pyproject.toml has a build system, otherwise the dependencies in pyproject.toml.

Files with the names of secrets (.env, .ssh, *.pem, …) and broken links are left out, which the \
output reports. A link that points outside the project is an error. `--include PATTERN` sends a \
secret anyway; a `!` line in .dockerignore does not.

If an agent of this name is deployed, the API of the new program (its output for --openapi, which \
/openapi.json returns) is compared with the deployed API in a session of the deployed agent. \
A change that breaks callers is an error before the build, unless `--allow-breaking` is given.

The template has the agent's name, and the build has the version as its tag: my-agent:1.0.0.

Without an API key the platform on this machine is used, and started if it is not running. Ctrl-C \
restores agent.yaml; a build that the platform has started continues.

With JSON output, each event is printed as a line when it happens:
  {\"event\": \"compiling\", \"target\": …}
  {\"event\": \"compiler\", \"level\": …, \"message\": …}  a message of the compiler
  {\"event\": \"compiled\", \"duration\": …}
  {\"event\": \"left_out\", \"files\": [{\"path\": …, \"reason\": …}, …]}
  {\"event\": \"warning\", \"message\": …}
  {\"event\": \"api\", \"compared\": …, \"changes\": [{\"severity\": …, \"place\": …, \"change\": \
…}, …]}
  {\"event\": \"deploying\", \"name\": …, \"version\": …, \"platform\": …, \"template_id\": \
…, \"build_id\": …}
  {\"event\": \"uploading\", \"files\": …, \"bytes\": …, \"sent\": …}  twice a second
  {\"event\": \"uploaded\", \"files\": …, \"bytes\": …, \"reused\": …}
  {\"event\": \"building\", \"steps\": […]}
  {\"event\": \"step\", \"step\": …, \"command\": …}
  {\"event\": \"log\", \"timestamp\": …, \"level\": …, \"step\": …, \"message\": …}
The last line is the result, the only line with `--quiet`:
  {\"event\": \"deployed\", \"name\": …, \"version\": …, \"template_id\": …, \"build_id\": \
…, \"api\": {…}, …}
or, after an error, which is printed to standard error as well:
  {\"event\": \"failed\", \"error\": …, \"causes\": […], \"exit_code\": …, \"step\": {…}, \"log\": \
[…], …}
Programs should ignore unknown events and fields.

Example:
  template=$(ppio-sandbox-cli agent deploy --json --quiet | jq -r .template_id)";

#[derive(Debug, Args)]
#[command(after_long_help = DEPLOY_HELP)]
pub(crate) struct DeployArguments {
    #[command(flatten)]
    pub(crate) project: ProjectArguments,
    #[command(flatten)]
    pub(crate) platform: PlatformArguments,
    /// Set an environment variable of the agent, by default to its value in this environment; every
    /// user of the template can read it
    #[arg(long, value_name = "NAME[=VALUE]", value_parser = not_empty)]
    pub(crate) env: Vec<String>,
    /// Include files that are named like secrets or excluded by .dockerignore: a path in the
    /// project, or a pattern as in .dockerignore
    #[arg(long, value_name = "PATTERN", value_parser = not_empty)]
    pub(crate) include: Vec<String>,
    /// Deploy even if changes of the API may break callers of the deployed agent
    #[arg(long)]
    pub(crate) allow_breaking: bool,
    /// Compile for this target, or for this machine with `host` [default: a static target if one is
    /// installed, otherwise `host`]
    #[arg(long, value_name = "TRIPLE", value_parser = not_empty)]
    pub(crate) target: Option<String>,
}

/// A protocol other than `/invocations` for calling an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum AgentProtocol {
    /// OpenAI's chat completions
    Openai,
    /// AG-UI, the protocol of front ends
    AgUi,
    /// A2A, the protocol between agents
    A2a,
    /// MCP: a call of the agent's tool, whose arguments are the request
    Mcp,
}

const INVOKE_HELP: &str = "\
With JSON output, an answer that is not a stream is one line:
  {\"result\": …, \"session_id\": …, \"request_id\": …, \"duration\": …, \"kept\": …}
A stream is a line for each item, and a line for its end:
  {\"item\": …}
  {\"end\": {\"items\": …, \"session_id\": …, \"request_id\": …, \"duration\": …, \"kept\": …}}
With `--detach`:
  {\"run_id\": …, \"session_id\": …, \"status\": \"running\"}

With `--protocol` the text of the answer is printed as it arrives, and tool calls and interrupts \
as lines of standard error. A request as JSON is that of the protocol, with missing members \
filled in: a chat completion, a RunAgentInput, the parameters of SendStreamingMessage, or the \
arguments of the tool. `prompt` is the user's message. With JSON output, each item is an event \
of the protocol, and the result the whole answer.

Examples:
  ppio-sandbox-cli agent invoke --input 'tell me a story'
  ppio-sandbox-cli agent invoke --json request.json
  ppio-sandbox-cli agent invoke --json '{\"prompt\": \"hi\"}' --output json
  git diff | ppio-sandbox-cli agent invoke --template-id reviewer
  run=$(ppio-sandbox-cli agent invoke --detach --input 'write a book')
  ppio-sandbox-cli agent attach \"$run\"
  ppio-sandbox-cli agent invoke --protocol ag-ui --input 'tell me a story'";

#[derive(Debug, Args)]
#[command(after_long_help = INVOKE_HELP)]
pub(crate) struct InvokeArguments {
    #[command(flatten)]
    pub(crate) agent: AgentArguments,
    #[command(flatten)]
    pub(crate) headers: HeaderArguments,
    /// The prompt: the request is `{"prompt": TEXT}`
    #[arg(long, value_name = "TEXT")]
    pub(crate) input: Option<String>,
    /// Read the prompt from this file
    #[arg(long, value_name = "PATH", conflicts_with = "input")]
    pub(crate) file: Option<PathBuf>,
    /// Read the prompt from standard input, even if it is a terminal
    #[arg(long, conflicts_with_all = ["input", "file"])]
    pub(crate) stdin: bool,
    /// The request as JSON: a file, `-` for standard input, or JSON that begins with `{`. Without a
    /// value, the same as `--output json`
    #[arg(long, value_name = "FILE", num_args = 0..=1)]
    #[expect(
        clippy::option_option,
        reason = "absent, without a value, with a value"
    )]
    pub(crate) json: Option<Option<String>>,
    /// Call the agent by this protocol instead of `POST /invocations`
    #[arg(long, value_enum, conflicts_with = "detach")]
    pub(crate) protocol: Option<AgentProtocol>,
    /// Call in this session, which stays open; a paused one is resumed
    #[arg(long, value_name = "ID", value_parser = not_empty)]
    pub(crate) session: Option<String>,
    /// Keep the new session open and print its id
    #[arg(long, conflicts_with = "session")]
    pub(crate) keep: bool,
    /// Start the invocation and print the id of its run, without waiting for the answer. The
    /// session stays open, and the run ends with it
    #[arg(long)]
    pub(crate) detach: bool,
    /// The longest time for the call in seconds, including the agent's start
    #[arg(long, value_name = "SECONDS", default_value = "300", value_parser = seconds)]
    pub(crate) timeout: Duration,
}

const RUNS_HELP: &str = "\
A run is an invocation that the agent keeps, while it runs and for some time after its end: one of \
`agent invoke --detach`, or of a client with an idempotency key. Paused sessions are left out.

With JSON output:
  [{\"run_id\": …, \"session_id\": …, \"status\": …, \"items\": …, \"started_at\": \
…, \"ended_at\": …}, …]
The status is running, success, error, cancelled or interrupted.";

#[derive(Debug, Args)]
#[command(after_long_help = RUNS_HELP)]
pub(crate) struct RunsArguments {
    #[command(flatten)]
    pub(crate) agent: AgentArguments,
    #[command(flatten)]
    pub(crate) headers: HeaderArguments,
    /// The session [default: all running sessions of the agent]
    #[arg(long, value_name = "ID", value_parser = not_empty)]
    pub(crate) session: Option<String>,
}

/// A run of an agent.
#[derive(Debug, Args)]
pub(crate) struct RunArguments {
    #[command(flatten)]
    pub(crate) agent: AgentArguments,
    #[command(flatten)]
    pub(crate) headers: HeaderArguments,
    /// The run, by the id that `agent invoke --detach` and `agent runs` print
    #[arg(value_name = "ID", value_parser = not_empty)]
    pub(crate) run_id: String,
    /// The session of the run; a paused one is resumed [default: the session of the agent that has
    /// the run]
    #[arg(long, value_name = "ID", value_parser = not_empty)]
    pub(crate) session: Option<String>,
}

const ATTACH_HELP: &str = "\
With JSON output, an item is a line with its number, and the end is a line:
  {\"id\": …, \"item\": …}
  {\"end\": {\"items\": …, \"session_id\": …, \"request_id\": …, \"duration\": …, \"kept\": true}}
An answer that is not a stream is an item without a number.

A connection that breaks is opened again, and the output continues after the last item.";

#[derive(Debug, Args)]
#[command(after_long_help = ATTACH_HELP)]
pub(crate) struct AttachArguments {
    #[command(flatten)]
    pub(crate) run: RunArguments,
    /// Begin after the item with this number
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    pub(crate) last_event_id: u64,
}

const CANCEL_HELP: &str = "\
A run that has ended is not changed, which is not an error. With JSON output:
  {\"run_id\": …, \"session_id\": …, \"status\": …}";

#[derive(Debug, Args)]
#[command(after_long_help = CANCEL_HELP)]
pub(crate) struct CancelArguments {
    #[command(flatten)]
    pub(crate) run: RunArguments,
}

#[derive(Debug, Args)]
pub(crate) struct ListArguments {
    #[command(flatten)]
    pub(crate) platform: PlatformArguments,
    /// List only agents with this tag; with several, only agents that have all of them
    #[arg(long, value_name = "TAG", value_parser = not_empty)]
    pub(crate) tag: Vec<String>,
    /// List only agents with this text in their names
    #[arg(long, value_name = "TEXT", value_parser = not_empty)]
    pub(crate) name: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct StatusArguments {
    #[command(flatten)]
    pub(crate) agent: AgentArguments,
}

#[derive(Debug, Args)]
pub(crate) struct StopArguments {
    #[command(flatten)]
    pub(crate) agent: AgentArguments,
    /// The session [default: all sessions of the agent]
    #[arg(long, value_name = "ID", value_parser = not_empty)]
    pub(crate) session: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct DeleteArguments {
    #[command(flatten)]
    pub(crate) agent: AgentArguments,
    /// Delete without a prompt
    #[arg(long, short)]
    pub(crate) yes: bool,
}
