//! The streams of the process service: what a process prints, until it ends.

use std::io;
use std::os::unix::process::ExitStatusExt as _;
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
use super::connect::{self, Call, Code, ConnectError};
use super::process_selector::{Pty, Selected, find};
use crate::sandbox::{
    Process, ProcessConfig, ProcessEvent, Sandbox, StartError, Streams, Terminal,
};

#[derive(Debug, Deserialize)]
struct StartRequest {
    process: ProcessConfig,
    pty: Option<Pty>,
    tag: Option<String>,
    stdin: Option<bool>,
}

/// Starts a process and streams it. The process outlives the stream.
pub(super) fn start(sandbox: &Sandbox, call: &Call) -> Result<Response, ConnectError> {
    let request: StartRequest = call.message()?;
    let streams = match request.pty {
        None => Streams::Pipes {
            stdin: request.stdin.unwrap_or(true),
        },
        Some(pty) => {
            let (columns, rows) = pty.size.map_or((80, 24), |size| (size.cols, size.rows));
            let terminal = Terminal::open(columns, rows).map_err(|error| {
                ConnectError::new(
                    Code::Internal,
                    format!("failed to open a terminal: {error}"),
                )
            })?;
            Streams::Terminal(terminal)
        }
    };
    let user = access::user(call.headers());
    let (process, events) = sandbox
        .start_process(request.process, &user, request.tag, streams)
        .map_err(|error| {
            let code = match &error {
                StartError::NoCommand | StartError::Malformed => Code::InvalidArgument,
                StartError::TooMany => Code::ResourceExhausted,
                // What was asked for cannot be run, or not from where it should be.
                StartError::Spawn(source)
                    if matches!(
                        source.kind(),
                        io::ErrorKind::ArgumentListTooLong
                            | io::ErrorKind::NotFound
                            | io::ErrorKind::NotADirectory
                            | io::ErrorKind::PermissionDenied
                    ) =>
                {
                    Code::InvalidArgument
                }
                StartError::Spawn(_) => Code::Internal,
            };
            ConnectError::new(code, error.to_string())
        })?;
    Ok(follow(&process, events, call))
}

/// Streams a process that runs already, from now on.
pub(super) async fn connect(sandbox: &Sandbox, call: &Call) -> Result<Response, ConnectError> {
    let request: Selected = call.message()?;
    let process = find(sandbox, &request.process)?;
    let events = process.listen().await;
    Ok(follow(&process, events, call))
}

fn follow(process: &Arc<Process>, events: mpsc::Receiver<ProcessEvent>, call: &Call) -> Response {
    let first = connect::message(&json!({"event": {"start": {"pid": process.pid}}}));
    let follower = Follower {
        first: Some(first),
        events,
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

/// Turns the events of one process into the pieces of one answer.
struct Follower {
    first: Option<Bytes>,
    events: mpsc::Receiver<ProcessEvent>,
    keepalive: Duration,
    deadline: Option<Instant>,
    /// The process ended; what is left to say is that the stream does.
    finished: bool,
    ended: bool,
}

impl Follower {
    async fn next(&mut self) -> Option<Bytes> {
        if let Some(first) = self.first.take() {
            return Some(first);
        }
        if self.ended {
            return None;
        }
        if self.finished {
            self.ended = true;
            return Some(connect::end_of_stream(None));
        }
        let deadline = async {
            match self.deadline {
                Some(deadline) => tokio::time::sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        let event = tokio::select! {
            // What was printed goes out before the deadline is looked at.
            biased;
            event = self.events.recv() => event,
            () = deadline => {
                self.ended = true;
                let error = ConnectError::new(Code::DeadlineExceeded, "the call's timeout is over; the process runs on");
                return Some(connect::end_of_stream(Some(&error)));
            }
            () = tokio::time::sleep(self.keepalive) => {
                return Some(connect::message(&json!({"event": {"keepalive": {}}})));
            }
        };
        let event = match event {
            Some(ProcessEvent::Data(channel, bytes)) => {
                json!({"data": {channel.as_str(): STANDARD.encode(&bytes)}})
            }
            Some(ProcessEvent::End(status)) => {
                self.finished = true;
                json!({ "end": end(status) })
            }
            // It ended between being found and being listened to.
            None => {
                self.ended = true;
                return Some(connect::end_of_stream(Some(&ConnectError::not_found(
                    "the process has ended",
                ))));
            }
        };
        Some(connect::message(&json!({ "event": event })))
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
