//! Events and output of a process.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::messages::ConnectStream;
use crate::error::Error;

/// An event of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProcessEvent {
    /// The process was started.
    Started {
        /// The process id.
        pid: u32,
    },
    /// Bytes of the process's standard output or terminal.
    Stdout(Vec<u8>),
    /// Bytes of the process's standard error.
    Stderr(Vec<u8>),
    /// The process ended.
    Ended(ExitStatus),
}

/// How a process ended.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct ExitStatus {
    /// The process's exit code.
    pub exit_code: i32,
    /// Whether the process exited, rather than being killed by a signal.
    pub exited: bool,
    /// A description of how the process ended, such as `exit status 1`.
    pub status: String,
    /// Why the process could not be started, if the start failed.
    pub error: Option<String>,
}

/// The output of a process that has ended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Output {
    /// The process's standard output.
    pub stdout: Vec<u8>,
    /// The process's standard error.
    pub stderr: Vec<u8>,
    /// How the process ended.
    pub status: ExitStatus,
}

impl Output {
    /// Returns standard output as text, with invalid UTF-8 replaced.
    pub fn stdout_text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Returns standard error as text, with invalid UTF-8 replaced.
    pub fn stderr_text(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }
}

/// The events of a process. Dropping this value closes the connection; the process continues.
#[derive(Debug)]
pub struct ProcessEvents {
    messages: ConnectStream,
}

#[derive(Deserialize)]
struct ProcessMessage {
    #[serde(default)]
    event: EventFields,
}

/// The fields of an event. Proto3 JSON omits fields that are zero.
#[derive(Deserialize, Default)]
#[serde(default)]
struct EventFields {
    start: Option<StartFields>,
    data: Option<OutputFields>,
    end: Option<ExitStatus>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct StartFields {
    pid: u32,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct OutputFields {
    stdout: Option<String>,
    stderr: Option<String>,
    pty: Option<String>,
}

impl ProcessEvents {
    pub(super) fn new(messages: ConnectStream) -> Self {
        Self { messages }
    }

    /// Returns the next event, or `None` after the last one. Cancel safe.
    ///
    /// # Errors
    /// [`Error::SandboxOperation`], whose [`root`](Error::root) is the cause, and
    /// [`Error::Protocol`] for output that is not base64.
    ///
    /// ```
    /// # use ppio_agent_client::platform::ProcessEvent;
    /// # ppio_test_support::client_example!(async |client| {
    /// # let envd = ppio_test_support::client_example_envd!(client);
    /// # let command = ppio_agent_client::platform::Command::shell("echo hello");
    /// # let mut events = envd.start(&command).await?;
    /// while let Some(event) = events.next().await? {
    ///     if let ProcessEvent::Stdout(bytes) = event {
    ///         print!("{}", String::from_utf8_lossy(&bytes));
    ///     }
    /// }
    /// # Ok(()) });
    /// ```
    pub async fn next(&mut self) -> Result<Option<ProcessEvent>, Error> {
        while let Some(message) = self.messages.next::<ProcessMessage>().await? {
            if let Some(event) = self.event(message.event)? {
                return Ok(Some(event));
            }
        }
        Ok(None)
    }

    /// Waits until the process ends, and returns its output since it was started or connected to.
    ///
    /// # Errors
    /// Those of [`next`](Self::next), and [`Error::SandboxOperation`] with the
    /// [`root`](Error::root) [`Error::ResponseTooLarge`] if the output exceeds
    /// [`ClientConfig::max_response_size`](crate::ClientConfig::max_response_size); the process
    /// continues. [`next`](Self::next) reads any amount.
    ///
    /// ```
    /// # ppio_test_support::client_example!(async |client| {
    /// # let envd = ppio_test_support::client_example_envd!(client);
    /// # let command = ppio_agent_client::platform::Command::shell("echo hello");
    /// # let events = envd.start(&command).await?;
    /// let output = events.output().await?;
    /// println!("exit code {}", output.status.exit_code);
    /// # Ok(()) });
    /// ```
    pub async fn output(mut self) -> Result<Output, Error> {
        let mut output = Output::default();
        let mut has_ended = false;
        let limit = self.messages.limit();
        while let Some(event) = self.next().await? {
            if let ProcessEvent::Stdout(bytes) | ProcessEvent::Stderr(bytes) = &event
                && output.stdout.len() + output.stderr.len() + bytes.len() > limit
            {
                return Err(self.messages.too_large("the output of the process"));
            }
            match event {
                ProcessEvent::Started { .. } => {}
                ProcessEvent::Stdout(bytes) => output.stdout.extend(bytes),
                ProcessEvent::Stderr(bytes) => output.stderr.extend(bytes),
                ProcessEvent::Ended(status) => {
                    output.status = status;
                    has_ended = true;
                }
            }
        }
        if !has_ended {
            let message = "the stream ended before the end of the process".to_owned();
            return Err(self.messages.protocol(message));
        }
        Ok(output)
    }

    fn event(&self, event: EventFields) -> Result<Option<ProcessEvent>, Error> {
        let decode = |text: String| {
            let invalid = |error| {
                self.messages
                    .protocol(format!("the output of the process is not base64: {error}"))
            };
            STANDARD.decode(text).map_err(invalid)
        };
        let EventFields { start, data, end } = event;
        if let Some(StartFields { pid }) = start {
            return Ok(Some(ProcessEvent::Started { pid }));
        }
        if let Some(status) = end {
            return Ok(Some(ProcessEvent::Ended(status)));
        }
        let data = data.unwrap_or_default();
        if let Some(text) = data.stdout.or(data.pty) {
            return Ok(Some(ProcessEvent::Stdout(decode(text)?)));
        }
        match data.stderr {
            Some(text) => Ok(Some(ProcessEvent::Stderr(decode(text)?))),
            // A keepalive, or an event that this version does not define.
            None => Ok(None),
        }
    }
}
