//! What a process says.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::messages::Messages;
use crate::error::Error;

/// One thing a process did.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProcessEvent {
    /// It runs, under this process id.
    Started {
        /// The process id.
        pid: u32,
    },
    /// It wrote to its standard output (or terminal).
    Stdout(Vec<u8>),
    /// It wrote to its standard error.
    Stderr(Vec<u8>),
    /// It ended.
    Ended(ExitStatus),
}

/// How a process ended.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct ExitStatus {
    /// Its exit code.
    pub exit_code: i32,
    /// Whether it ended by itself, not by a signal.
    pub exited: bool,
    /// In words.
    pub status: String,
    /// Why it could not be run, if so.
    pub error: Option<String>,
}

/// All a process said until it ended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Output {
    /// Its standard output.
    pub stdout: Vec<u8>,
    /// Its standard error.
    pub stderr: Vec<u8>,
    /// How it ended.
    pub status: ExitStatus,
}

impl Output {
    /// Standard output as text; what is no UTF-8 is replaced.
    ///
    /// ```
    /// let output = ppio_agent_client::platform::Output { stdout: b"hi".to_vec(), ..Default::default() };
    /// assert_eq!(output.stdout_text(), "hi");
    /// ```
    pub fn stdout_text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Standard error as text; what is no UTF-8 is replaced.
    ///
    /// ```
    /// let output = ppio_agent_client::platform::Output { stderr: b"oh".to_vec(), ..Default::default() };
    /// assert_eq!(output.stderr_text(), "oh");
    /// ```
    pub fn stderr_text(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }
}

/// The events of one process. Dropping it stops listening; the process runs on.
#[derive(Debug)]
pub struct ProcessEvents {
    messages: Messages,
}

#[derive(Deserialize)]
struct Message {
    #[serde(default)]
    event: Event,
}

/// Proto3 JSON leaves out what is zero.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Event {
    start: Option<Start>,
    data: Option<Data>,
    end: Option<ExitStatus>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Start {
    pid: u32,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Data {
    stdout: Option<String>,
    stderr: Option<String>,
    pty: Option<String>,
}

impl ProcessEvents {
    pub(super) fn new(messages: Messages) -> Self {
        Self { messages }
    }

    /// The next event; `None` after the last one. Cancel safe: dropping the future loses nothing.
    ///
    /// ```
    /// # use ppio_agent_client::platform::ProcessEvent;
    /// # integration_tests::example(async |client| {
    /// # let envd = integration_tests::envd(&client).await?;
    /// # let mut events = envd.start(&ppio_agent_client::platform::Command::shell("echo hello")).await?;
    /// while let Some(event) = events.next().await? {
    ///     if let ProcessEvent::Stdout(bytes) = event {
    ///         print!("{}", String::from_utf8_lossy(&bytes));
    ///     }
    /// }
    /// # Ok(()) });
    /// ```
    pub async fn next(&mut self) -> Result<Option<ProcessEvent>, Error> {
        while let Some(message) = self.messages.next::<Message>().await? {
            if let Some(event) = self.event(message.event)? {
                return Ok(Some(event));
            }
        }
        Ok(None)
    }

    /// Waits until the process ends, and returns all it said since it was started or joined.
    ///
    /// # Errors
    /// [`Error::ResponseTooLarge`] if it says more than
    /// [`ClientConfig::max_response_size`](crate::ClientConfig::max_response_size); the process runs
    /// on. [`next`](Self::next) reads any amount.
    ///
    /// ```
    /// # integration_tests::example(async |client| {
    /// # let envd = integration_tests::envd(&client).await?;
    /// # let events = envd.start(&ppio_agent_client::platform::Command::shell("echo hello")).await?;
    /// let output = events.output().await?;
    /// println!("exit code {}", output.status.exit_code);
    /// # Ok(()) });
    /// ```
    pub async fn output(mut self) -> Result<Output, Error> {
        let mut output = Output::default();
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
                ProcessEvent::Ended(status) => output.status = status,
            }
        }
        Ok(output)
    }

    fn event(&self, event: Event) -> Result<Option<ProcessEvent>, Error> {
        let decode = |text: String| {
            let malformed = |error| {
                self.messages
                    .protocol(format!("its output is no base64: {error}"))
            };
            STANDARD.decode(text).map_err(malformed)
        };
        let Event { start, data, end } = event;
        if let Some(Start { pid }) = start {
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
            // A keepalive, or an event this version does not know.
            None => Ok(None),
        }
    }
}
