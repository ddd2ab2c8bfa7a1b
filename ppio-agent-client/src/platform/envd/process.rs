//! Processes in the sandbox.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderName, HeaderValue, StatusCode};
use http_body_util::BodyExt as _;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::super::call::Subject;
use super::super::fault;
use super::super::sandbox::null_is_empty;
use super::process_events::ProcessEvents;
use super::{Envd, envelope, rpc};
use crate::error::Error;
use crate::transport::{Chunks, Deadline, Repeat};

/// A program to run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Command {
    /// The program.
    pub cmd: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// Environment variables beside those of the sandbox.
    pub envs: BTreeMap<String, String>,
    /// Its working directory; the user's home if `None`.
    pub cwd: Option<String>,
    /// Keep its standard input open for [`Envd::send_stdin`].
    #[serde(skip)]
    pub stdin: bool,
    /// A name to find it by.
    #[serde(skip)]
    pub tag: Option<String>,
}

impl Command {
    /// This program, without arguments.
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
            tag: None,
        }
    }

    /// This line, run by a login shell.
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

/// Which process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ProcessSelector {
    /// The one with this process id.
    Pid(u32),
    /// The one that was started with this tag.
    Tag(String),
}

/// What [`Envd::send_signal`] can send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Signal {
    /// End, after tidying up.
    #[serde(rename = "SIGNAL_SIGTERM")]
    Term,
    /// End at once.
    #[serde(rename = "SIGNAL_SIGKILL")]
    Kill,
}

/// A process that runs.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct ProcessInfo {
    /// Its process id.
    #[serde(default)]
    pub pid: u32,
    /// The tag it was started with.
    #[serde(default)]
    pub tag: Option<String>,
    /// What was started, as envd describes it.
    #[serde(default)]
    pub config: Value,
}

impl Envd {
    /// Starts a process and listens to it. It runs on when the events are dropped.
    ///
    /// ```no_run
    /// # use ppio_agent_client::platform::{Command, Envd};
    /// # async fn run(envd: Envd) -> Result<(), ppio_agent_client::Error> {
    /// let output = envd.start(&Command::shell("echo hello")).await?.output().await?;
    /// assert_eq!(output.stdout_text(), "hello\n");
    /// # Ok(())
    /// # }
    /// ```
    pub async fn start(&self, command: &Command) -> Result<ProcessEvents, Error> {
        let request = json!({
            "process": command,
            "stdin": command.stdin,
            "tag": command.tag,
        });
        self.events("start a process in", "/process.Process/Start", &request)
            .await
    }

    /// Listens to a process that runs already.
    ///
    /// ```no_run
    /// # use ppio_agent_client::platform::{Envd, ProcessSelector};
    /// # async fn run(envd: Envd) -> Result<(), ppio_agent_client::Error> {
    /// let mut events = envd.connect(&ProcessSelector::Pid(42)).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn connect(&self, process: &ProcessSelector) -> Result<ProcessEvents, Error> {
        let request = json!({ "process": process });
        self.events(
            "listen to a process in",
            "/process.Process/Connect",
            &request,
        )
        .await
    }

    /// The processes that run.
    ///
    /// ```no_run
    /// # async fn run(envd: ppio_agent_client::platform::Envd) -> Result<(), ppio_agent_client::Error> {
    /// for process in envd.list_processes().await? {
    ///     println!("{}", process.pid);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn list_processes(&self) -> Result<Vec<ProcessInfo>, Error> {
        #[derive(Deserialize)]
        struct List {
            #[serde(default, deserialize_with = "null_is_empty")]
            processes: Vec<ProcessInfo>,
        }
        let nothing = json!({});
        let list = "list the processes of";
        let answer: List = self
            .unary(list, "/process.Process/List", &nothing, Repeat::Safe)
            .await?;
        Ok(answer.processes)
    }

    /// Sends a signal to a process.
    ///
    /// ```no_run
    /// # use ppio_agent_client::platform::{Envd, ProcessSelector, Signal};
    /// # async fn run(envd: Envd) -> Result<(), ppio_agent_client::Error> {
    /// envd.send_signal(&ProcessSelector::Pid(42), Signal::Term).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn send_signal(
        &self,
        process: &ProcessSelector,
        signal: Signal,
    ) -> Result<(), Error> {
        let request = json!({ "process": process, "signal": signal });
        let _: Value = self
            .unary(
                "signal a process in",
                "/process.Process/SendSignal",
                &request,
                Repeat::Safe,
            )
            .await?;
        Ok(())
    }

    /// Writes to the standard input of a process that was started with it open. Not repeated
    /// when it may have arrived.
    ///
    /// ```no_run
    /// # use ppio_agent_client::platform::{Envd, ProcessSelector};
    /// # async fn run(envd: Envd) -> Result<(), ppio_agent_client::Error> {
    /// envd.send_stdin(&ProcessSelector::Pid(42), b"yes\n").await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn send_stdin(&self, process: &ProcessSelector, input: &[u8]) -> Result<(), Error> {
        let request = json!({ "process": process, "input": { "stdin": STANDARD.encode(input) } });
        let _: Value = self
            .unary(
                "write to a process in",
                "/process.Process/SendInput",
                &request,
                Repeat::IfUnsent,
            )
            .await?;
        Ok(())
    }

    async fn events(
        &self,
        operation: &'static str,
        procedure: &str,
        request: &Value,
    ) -> Result<ProcessEvents, Error> {
        self.open_events(operation, procedure, request)
            .await
            .map_err(|error| error.during(operation, &self.sandbox_id))
    }

    async fn open_events(
        &self,
        operation: &'static str,
        procedure: &str,
        request: &Value,
    ) -> Result<ProcessEvents, Error> {
        let message = request.to_string();
        let body = envelope::wrap(message.as_bytes())
            .ok_or_else(|| Error::validation("request", "is larger than 4 GiB"))?;
        let call = rpc::call(operation, procedure)
            .bytes("application/connect+json", body)
            .header(
                HeaderName::from_static("keepalive-ping-interval"),
                HeaderValue::from(keepalive_seconds(self.idle)),
            );
        let deadline = Deadline::after(self.service.timeout);
        let response = self.service.open(call, deadline).await?;
        let (head, body) = response.into_parts();
        if head.status == StatusCode::OK {
            return Ok(ProcessEvents::new(operation, Chunks::new(body, self.idle)));
        }
        let said = deadline.run(operation, body.collect()).await?;
        let said = said
            .map(http_body_util::Collected::to_bytes)
            .unwrap_or_default();
        let auth = &self.service.auth;
        Err(fault::of(
            operation,
            &Subject::Nothing,
            auth,
            head.status,
            &head.headers,
            &said,
        ))
    }
}

/// Often enough that a quiet process is not taken for a dead connection.
fn keepalive_seconds(idle: Duration) -> u64 {
    (idle.as_secs() / 2).clamp(1, 50)
}
