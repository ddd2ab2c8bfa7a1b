//! The streams of the process service: the output of a process, until it ends.

use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::pin::Pin;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::access;
use super::connect::{self, ConnectCall, ConnectCode, ConnectError};
use super::process_selector::{Pty, SelectedProcess, find};
use crate::error::with_sources;
use crate::sandbox::{
    LocalSandbox, OutputEvent, Process, ProcessConfig, ProcessStartError, PseudoTerminal,
    StandardStreams,
};

#[derive(Debug, Deserialize)]
struct StartProcessRequest {
    process: ProcessConfig,
    pty: Option<Pty>,
    tag: Option<String>,
    stdin: Option<bool>,
}

/// Starts a process and streams its output. The process outlives the stream, but not the timeout of
/// the call.
pub(super) fn start(sandbox: &LocalSandbox, call: &ConnectCall) -> Result<Response, ConnectError> {
    let request: StartProcessRequest = call.message()?;
    let streams = match request.pty {
        None => StandardStreams::Pipes {
            stdin: request.stdin.unwrap_or(true),
        },
        Some(pty) => {
            let (columns, rows) = pty.size.map_or((80, 24), |size| (size.cols, size.rows));
            let processes = sandbox.sandbox_processes();
            let devices = processes.device_root();
            let terminal = PseudoTerminal::open(devices, columns, rows).map_err(|error| {
                ConnectError::new(
                    ConnectCode::Internal,
                    format!("failed to open a terminal: {error}"),
                )
            })?;
            StandardStreams::Terminal(terminal)
        }
    };
    let user = access::user(call.headers());
    let (process, events) = sandbox
        .start_process(request.process, &user, request.tag, streams)
        .map_err(|error| {
            let code = match &error {
                ProcessStartError::NoCommand
                | ProcessStartError::Malformed
                | ProcessStartError::NoDirectory(_) => ConnectCode::InvalidArgument,
                ProcessStartError::User(_) => ConnectCode::Unauthenticated,
                ProcessStartError::TooMany => ConnectCode::ResourceExhausted,
                ProcessStartError::Gone => ConnectCode::Unavailable,
                // The program cannot be executed, or its working directory cannot be entered.
                ProcessStartError::Spawn(source)
                    if matches!(
                        source.kind(),
                        io::ErrorKind::ArgumentListTooLong
                            | io::ErrorKind::NotFound
                            | io::ErrorKind::NotADirectory
                            | io::ErrorKind::PermissionDenied
                    ) =>
                {
                    ConnectCode::InvalidArgument
                }
                ProcessStartError::Spawn(_) => ConnectCode::Internal,
            };
            ConnectError::new(code, with_sources(&error))
        })?;
    if let Some(timeout) = call.timeout() {
        sandbox.limit(&process, timeout);
    }
    Ok(follow(sandbox, &process, events, call))
}

/// Streams the output that a running process writes from now on.
pub(super) fn connect(
    sandbox: &LocalSandbox,
    call: &ConnectCall,
) -> Result<Response, ConnectError> {
    let request: SelectedProcess = call.message()?;
    let process = find(sandbox, &request.process)?;
    let events = process.subscribe();
    Ok(follow(sandbox, &process, events, call))
}

fn follow(
    sandbox: &LocalSandbox,
    process: &Arc<Process>,
    events: mpsc::Receiver<OutputEvent>,
    call: &ConnectCall,
) -> Response {
    let first = connect::message(&json!({"event": {"start": {"pid": process.pid}}}));
    let follower = ProcessStream {
        first: Some(first),
        events,
        gone: Box::pin(sandbox.gone()),
        keepalive: call.keepalive(),
        deadline: call.timeout().map(|timeout| Instant::now() + timeout),
        finished: false,
        ended: false,
    };
    connect::stream(futures_util::stream::unfold(
        follower,
        |mut follower| async move { follower.next().await.map(|piece| (piece, follower)) },
    ))
}

/// The events of a process as messages of a response.
struct ProcessStream {
    first: Option<Bytes>,
    events: mpsc::Receiver<OutputEvent>,
    /// Completes when the sandbox is killed.
    gone: Pin<Box<dyn Future<Output = ()> + Send>>,
    keepalive: Duration,
    deadline: Option<Instant>,
    /// Whether the process has ended, so that only the end of the stream remains to be sent.
    finished: bool,
    ended: bool,
}

impl ProcessStream {
    async fn next(&mut self) -> Option<io::Result<Bytes>> {
        if let Some(first) = self.first.take() {
            return Some(Ok(first));
        }
        if self.ended {
            return None;
        }
        if self.finished {
            self.ended = true;
            return Some(Ok(connect::end_of_stream(None)));
        }
        let deadline = self.deadline;
        let passed = async {
            match deadline {
                Some(deadline) => tokio::time::sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        let event = tokio::select! {
            biased;
            () = &mut self.gone => {
                self.ended = true;
                let error = io::Error::new(io::ErrorKind::ConnectionReset, "the sandbox was killed");
                return Some(Err(error));
            }
            // Output is sent before the deadline is checked.
            event = self.events.recv() => event,
            () = passed => return Some(Ok(self.timed_out())),
            () = tokio::time::sleep(self.keepalive) => {
                return Some(Ok(connect::message(&json!({"event": {"keepalive": {}}}))));
            }
        };
        let event = match event {
            Some(OutputEvent::Data(channel, bytes)) => {
                json!({"data": {channel.as_str(): STANDARD.encode(&bytes)}})
            }
            // The timeout of the call that started the process has killed it.
            Some(OutputEvent::End(status))
                if status.code().is_none()
                    && deadline.is_some_and(|deadline| Instant::now() >= deadline) =>
            {
                return Some(Ok(self.timed_out()));
            }
            Some(OutputEvent::End(status)) => {
                self.finished = true;
                json!({ "end": end(status) })
            }
            None => {
                self.ended = true;
                let error = ConnectError::new(
                    ConnectCode::ResourceExhausted,
                    "the stream was not read in time: connect to the process again, and read the \
                     missing output in the sandbox's logs",
                );
                return Some(Ok(connect::end_of_stream(Some(&error))));
            }
        };
        Some(Ok(connect::message(&json!({ "event": event }))))
    }

    /// Returns the end of a stream whose call has timed out.
    fn timed_out(&mut self) -> Bytes {
        self.ended = true;
        let error = ConnectError::new(
            ConnectCode::DeadlineExceeded,
            "the call's timeout has passed",
        );
        connect::end_of_stream(Some(&error))
    }
}

fn end(status: ExitStatus) -> Value {
    match (status.code(), status.signal()) {
        (Some(code), _) => json!({
            "exitCode": code,
            "exited": true,
            "status": format!("exit status {code}"),
            "error": (code != 0).then(|| format!("exit status {code}")),
        }),
        (None, signal) => {
            let text = format!("signal: {}", signal.unwrap_or_default());
            json!({"exitCode": -1, "exited": false, "status": text, "error": text})
        }
    }
}
