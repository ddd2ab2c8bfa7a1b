//! Starting and controlling processes in the sandbox.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::daemon::Envd;
use super::process_events::ProcessEvents;
use crate::config::NamesOnly;
use crate::error::Error;
use crate::platform::json::null_is_empty;
use crate::transport::Idempotency;

/// A process to start.
///
/// Its `Debug` output contains the names of environment variables, not their values.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Command {
    /// The program.
    pub cmd: String,
    /// The arguments of the program.
    pub args: Vec<String>,
    /// Environment variables in addition to the sandbox's.
    pub envs: BTreeMap<String, String>,
    /// The working directory; `None`: the user's home.
    pub cwd: Option<String>,
    /// Whether standard input stays open for [`Envd::send_stdin`].
    #[serde(skip)]
    pub stdin: bool,
    /// The size of a terminal, which replaces the pipes if it is set. All output is then standard
    /// output, and input is sent with [`Envd::send_terminal`].
    #[serde(skip)]
    pub terminal: Option<TerminalSize>,
    /// A tag by which the process can be selected.
    #[serde(skip)]
    pub tag: Option<String>,
}

impl Command {
    /// Returns a command that runs `program` without arguments.
    ///
    /// ```
    /// assert_eq!(ppio_agent_client::platform::Command::new("ls").args.len(), 0);
    /// ```
    pub fn new(program: impl Into<String>) -> Self {
        Self {
            cmd: program.into(),
            args: Vec::new(),
            envs: BTreeMap::new(),
            cwd: None,
            stdin: false,
            terminal: None,
            tag: None,
        }
    }

    /// Returns a command that runs `line` in a login shell.
    ///
    /// ```
    /// let command = ppio_agent_client::platform::Command::shell("ls -l | wc");
    /// assert_eq!(command.args, ["-l", "-c", "ls -l | wc"]);
    /// ```
    pub fn shell(line: impl Into<String>) -> Self {
        let args = vec!["-l".to_owned(), "-c".to_owned(), line.into()];
        Self {
            args,
            ..Self::new("/bin/bash")
        }
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Command")
            .field("cmd", &self.cmd)
            .field("args", &self.args)
            .field("envs", &NamesOnly(&self.envs))
            .field("cwd", &self.cwd)
            .field("stdin", &self.stdin)
            .field("terminal", &self.terminal)
            .field("tag", &self.tag)
            .finish()
    }
}

/// The size of a terminal, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct TerminalSize {
    /// Columns.
    #[serde(rename = "cols")]
    pub columns: u16,
    /// Rows.
    pub rows: u16,
}

/// Selects a process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ProcessSelector {
    /// By its process id.
    Pid(u32),
    /// By the tag that the process was started with.
    Tag(String),
}

/// A signal for [`Envd::send_signal`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Signal {
    /// `SIGTERM`.
    #[serde(rename = "SIGNAL_SIGTERM")]
    Term,
    /// `SIGKILL`.
    #[serde(rename = "SIGNAL_SIGKILL")]
    Kill,
}

/// A running process.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct ProcessInfo {
    /// The process id.
    #[serde(default)]
    pub pid: u32,
    /// The tag that the process was started with.
    #[serde(default)]
    pub tag: Option<String>,
    /// The process's command, as envd describes it.
    #[serde(default)]
    pub config: Value,
}

impl Envd {
    /// Starts a process and returns its events. The process continues when the events are dropped.
    ///
    /// # Errors
    /// [`Error::SandboxOperation`], whose [`root`](Error::root) is the cause.
    ///
    /// ```
    /// # use ppio_agent_client::platform::Command;
    /// # ppio_test_support::client_example!(async |client| {
    /// # let envd = ppio_test_support::client_example_envd!(client);
    /// let output = envd.start(&Command::shell("echo hello")).await?.output().await?;
    /// assert_eq!(output.stdout_text(), "hello\n");
    /// # Ok(()) });
    /// ```
    pub async fn start(&self, command: &Command) -> Result<ProcessEvents, Error> {
        let mut request = json!({
            "process": command,
            "stdin": command.stdin,
            "tag": command.tag,
        });
        if let Some(size) = command.terminal {
            request["pty"] = json!({ "size": size });
        }
        let start = "start a process in";
        let messages = self.stream(start, "/process.Process/Start", &request);
        Ok(ProcessEvents::new(messages.await?))
    }

    /// Connects to a running process and returns its events from now on.
    ///
    /// # Errors
    /// [`Error::SandboxOperation`], whose [`root`](Error::root) is the cause.
    ///
    /// ```
    /// # use ppio_agent_client::platform::ProcessSelector;
    /// # ppio_test_support::client_example!(async |client| {
    /// # let envd = ppio_test_support::client_example_envd!(client);
    /// let mut events = envd.connect(&ProcessSelector::Pid(42)).await?;
    /// # Ok(()) });
    /// ```
    pub async fn connect(&self, process: &ProcessSelector) -> Result<ProcessEvents, Error> {
        let request = json!({ "process": process });
        let connect = "connect to a process in";
        let messages = self.stream(connect, "/process.Process/Connect", &request);
        Ok(ProcessEvents::new(messages.await?))
    }

    /// Lists the running processes.
    ///
    /// # Errors
    /// [`Error::SandboxOperation`], whose [`root`](Error::root) is the cause.
    ///
    /// ```
    /// # ppio_test_support::client_example!(async |client| {
    /// # let envd = ppio_test_support::client_example_envd!(client);
    /// for process in envd.list_processes().await? {
    ///     println!("{}", process.pid);
    /// }
    /// # Ok(()) });
    /// ```
    pub async fn list_processes(&self) -> Result<Vec<ProcessInfo>, Error> {
        #[derive(Deserialize)]
        struct ListResponse {
            #[serde(default, deserialize_with = "null_is_empty")]
            processes: Vec<ProcessInfo>,
        }
        let nothing = json!({});
        let list = "list the processes of";
        let response: ListResponse = self
            .unary(list, "/process.Process/List", &nothing, Idempotency::Safe)
            .await?;
        Ok(response.processes)
    }

    /// Sends a signal to a process.
    ///
    /// # Errors
    /// [`Error::SandboxOperation`], whose [`root`](Error::root) is the cause.
    ///
    /// ```
    /// # use ppio_agent_client::platform::{ProcessSelector, Signal};
    /// # ppio_test_support::client_example!(async |client| {
    /// # let envd = ppio_test_support::client_example_envd!(client);
    /// envd.send_signal(&ProcessSelector::Pid(42), Signal::Term).await?;
    /// # Ok(()) });
    /// ```
    pub async fn send_signal(
        &self,
        process: &ProcessSelector,
        signal: Signal,
    ) -> Result<(), Error> {
        let request = json!({ "process": process, "signal": signal });
        let send = "signal a process in";
        self.unary_empty(send, "SendSignal", &request, Idempotency::Safe)
            .await
    }

    /// Writes to the standard input of a process that was started with `stdin`. The input is not
    /// sent again if it may have arrived.
    ///
    /// # Errors
    /// [`Error::SandboxOperation`], whose [`root`](Error::root) is the cause.
    ///
    /// ```
    /// # use ppio_agent_client::platform::ProcessSelector;
    /// # ppio_test_support::client_example!(async |client| {
    /// # let envd = ppio_test_support::client_example_envd!(client);
    /// envd.send_stdin(&ProcessSelector::Pid(42), b"yes\n").await?;
    /// # Ok(()) });
    /// ```
    pub async fn send_stdin(&self, process: &ProcessSelector, input: &[u8]) -> Result<(), Error> {
        let request = json!({ "process": process, "input": { "stdin": STANDARD.encode(input) } });
        let write = "write to a process in";
        self.unary_empty(write, "SendInput", &request, Idempotency::IfUnsent)
            .await
    }

    /// Closes the standard input of a process.
    ///
    /// # Errors
    /// [`Error::SandboxOperation`], whose [`root`](Error::root) is the cause.
    ///
    /// ```
    /// # use ppio_agent_client::platform::ProcessSelector;
    /// # ppio_test_support::client_example!(async |client| {
    /// # let envd = ppio_test_support::client_example_envd!(client);
    /// envd.close_stdin(&ProcessSelector::Pid(42)).await?;
    /// # Ok(()) });
    /// ```
    pub async fn close_stdin(&self, process: &ProcessSelector) -> Result<(), Error> {
        let request = json!({ "process": process });
        let close = "close the input of a process in";
        self.unary_empty(close, "CloseStdin", &request, Idempotency::Safe)
            .await
    }

    /// Writes to the terminal of a process that was started with a terminal. The input is not sent
    /// again if it may have arrived.
    ///
    /// # Errors
    /// [`Error::SandboxOperation`], whose [`root`](Error::root) is the cause.
    ///
    /// ```
    /// # use ppio_agent_client::platform::ProcessSelector;
    /// # ppio_test_support::client_example!(async |client| {
    /// # let envd = ppio_test_support::client_example_envd!(client);
    /// envd.send_terminal(&ProcessSelector::Pid(42), b"ls\n").await?;
    /// # Ok(()) });
    /// ```
    pub async fn send_terminal(
        &self,
        process: &ProcessSelector,
        input: &[u8],
    ) -> Result<(), Error> {
        let request = json!({ "process": process, "input": { "pty": STANDARD.encode(input) } });
        let write = "write to a process in";
        self.unary_empty(write, "SendInput", &request, Idempotency::IfUnsent)
            .await
    }

    /// Resizes the terminal of a process.
    ///
    /// # Errors
    /// [`Error::SandboxOperation`], whose [`root`](Error::root) is the cause.
    ///
    /// ```
    /// # use ppio_agent_client::platform::{ProcessSelector, TerminalSize};
    /// # ppio_test_support::client_example!(async |client| {
    /// # let envd = ppio_test_support::client_example_envd!(client);
    /// let size = TerminalSize { columns: 120, rows: 40 };
    /// envd.resize_terminal(&ProcessSelector::Pid(42), size).await?;
    /// # Ok(()) });
    /// ```
    pub async fn resize_terminal(
        &self,
        process: &ProcessSelector,
        size: TerminalSize,
    ) -> Result<(), Error> {
        let request = json!({ "process": process, "pty": { "size": size } });
        let resize = "resize a terminal of";
        self.unary_empty(resize, "Update", &request, Idempotency::Safe)
            .await
    }

    /// Makes a call with an empty response.
    async fn unary_empty(
        &self,
        operation: &'static str,
        method: &str,
        request: &Value,
        idempotency: Idempotency,
    ) -> Result<(), Error> {
        let procedure = format!("/process.Process/{method}");
        let _: Value = self
            .unary(operation, &procedure, request, idempotency)
            .await?;
        Ok(())
    }
}
