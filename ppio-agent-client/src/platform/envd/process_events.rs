//! What a process says.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;

use super::envelope::Unwrapper;
use crate::error::Error;
use crate::transport::Chunks;

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
    operation: &'static str,
    chunks: Chunks,
    unwrapper: Unwrapper,
    over: bool,
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

#[derive(Deserialize)]
struct End {
    #[serde(default)]
    error: Option<EndError>,
}

#[derive(Deserialize)]
struct EndError {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

impl ProcessEvents {
    pub(super) fn new(operation: &'static str, chunks: Chunks) -> Self {
        Self {
            operation,
            chunks,
            unwrapper: Unwrapper::default(),
            over: false,
        }
    }

    /// The next event; `None` after the last one. Cancel safe: dropping the future loses nothing.
    ///
    /// ```no_run
    /// # use ppio_agent_client::platform::{ProcessEvent, ProcessEvents};
    /// # async fn run(mut events: ProcessEvents) -> Result<(), ppio_agent_client::Error> {
    /// while let Some(event) = events.next().await? {
    ///     if let ProcessEvent::Stdout(bytes) = event {
    ///         print!("{}", String::from_utf8_lossy(&bytes));
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn next(&mut self) -> Result<Option<ProcessEvent>, Error> {
        let operation = self.operation;
        while !self.over {
            let envelope = self.unwrapper.next().map_err(|length| {
                Error::malformed(operation, format!("an event of {length} bytes is no event"))
            })?;
            match envelope {
                Some(envelope) if envelope.is_end => {
                    self.over = true;
                    return self.ended(&envelope.message).map(|()| None);
                }
                Some(envelope) => {
                    if let Some(event) = self.event(&envelope.message)? {
                        return Ok(Some(event));
                    }
                }
                None => {
                    let Some(bytes) = self.chunks.next().await? else {
                        self.over = true;
                        return Err(self.chunks.cut("the process's events ended without an end"));
                    };
                    self.unwrapper.push(&bytes);
                }
            }
        }
        Ok(None)
    }

    /// Waits until the process ends, and returns all it said since it was started or joined.
    ///
    /// ```no_run
    /// # async fn run(events: ppio_agent_client::platform::ProcessEvents) -> Result<(), ppio_agent_client::Error> {
    /// let output = events.output().await?;
    /// println!("exit code {}", output.status.exit_code);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn output(mut self) -> Result<Output, Error> {
        let mut output = Output::default();
        while let Some(event) = self.next().await? {
            match event {
                ProcessEvent::Started { .. } => {}
                ProcessEvent::Stdout(bytes) => output.stdout.extend(bytes),
                ProcessEvent::Stderr(bytes) => output.stderr.extend(bytes),
                ProcessEvent::Ended(status) => output.status = status,
            }
        }
        Ok(output)
    }

    fn event(&self, message: &Bytes) -> Result<Option<ProcessEvent>, Error> {
        let malformed = |error: &dyn std::fmt::Display| {
            Error::malformed(
                self.operation,
                format!("an event is not as expected: {error}"),
            )
        };
        let message: Message =
            serde_json::from_slice(message).map_err(|error| malformed(&error))?;
        let decode = |text: String| STANDARD.decode(text).map_err(|error| malformed(&error));
        let Event { start, data, end } = message.event;
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

    fn ended(&self, message: &Bytes) -> Result<(), Error> {
        let end = if message.is_empty() {
            Ok(None)
        } else {
            serde_json::from_slice::<Value>(message).map(Some)
        };
        let end = end
            .and_then(|end| end.map(serde_json::from_value::<End>).transpose())
            .map_err(|error| Error::malformed(self.operation, error.to_string()))?;
        match end.and_then(|end| end.error) {
            None => Ok(()),
            Some(EndError { code, message }) => Err(Error::malformed(
                self.operation,
                format!("{code}: {message}"),
            )),
        }
    }
}
