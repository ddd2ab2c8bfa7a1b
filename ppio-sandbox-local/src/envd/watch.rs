//! The directory watches of the filesystem service: streamed, or fetched by id.

use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::connect::{self, ConnectCall, ConnectCode, ConnectError};
use super::entry::{describe, io_error, locate};
use crate::files::{LastLink, OpenDirectory};
use crate::sandbox::{DirectoryChange, DirectoryChangeKind, DirectoryWatch, LocalSandbox};

/// A request to watch a directory. The field `allowNetworkMounts` is not read: every change to the
/// files of a sandbox is made on this machine, whose kernel reports it on any file system.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WatchRequest {
    path: String,
    #[serde(default)]
    recursive: bool,
    /// Whether each change describes the file as it is at that moment.
    #[serde(default)]
    include_entry: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WatcherRequest {
    watcher_id: String,
}

pub(super) fn create(sandbox: &LocalSandbox, call: &ConnectCall) -> Result<Value, ConnectError> {
    let watch = start(sandbox, call)?;
    let id = sandbox.watches.add(watch).ok_or_else(|| {
        ConnectError::new(
            ConnectCode::ResourceExhausted,
            "the sandbox has too many watchers",
        )
    })?;
    Ok(json!({ "watcherId": id }))
}

pub(super) fn fetch(sandbox: &LocalSandbox, call: &ConnectCall) -> Result<Value, ConnectError> {
    let id = call.message::<WatcherRequest>()?.watcher_id;
    let changes = sandbox.watches.fetch(&id).ok_or_else(|| unknown(&id))?;
    Ok(json!({ "events": changes.iter().map(event).collect::<Vec<_>>() }))
}

pub(super) fn remove(sandbox: &LocalSandbox, call: &ConnectCall) -> Result<Value, ConnectError> {
    let id = call.message::<WatcherRequest>()?.watcher_id;
    if sandbox.watches.remove(&id) {
        Ok(json!({}))
    } else {
        Err(unknown(&id))
    }
}

fn unknown(id: &str) -> ConnectError {
    ConnectError::not_found(format!("watcher {id} not found"))
}

fn start(sandbox: &LocalSandbox, call: &ConnectCall) -> Result<DirectoryWatch, ConnectError> {
    let request: WatchRequest = call.message()?;
    let processes = sandbox.sandbox_processes();
    let files = processes.files();
    let path = locate(sandbox, call, &request.path, LastLink::Follow)?;
    let opened = files.as_user(|| OpenDirectory::open(&path));
    let directory = opened.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            ConnectError::not_found(format!("{} does not exist", path.inside.display()))
        }
        io::ErrorKind::NotADirectory => {
            ConnectError::invalid(format!("{} is not a directory", path.inside.display()))
        }
        _ => io_error("watch", &path, &error),
    })?;
    let described = files.clone();
    let describe_change = request.include_entry.then_some(move |path: &Path| {
        let described_now = described.as_user(|| {
            let path = described.locate("/", &path.to_string_lossy(), LastLink::Keep);
            describe(&described, &path.map_err(io::Error::other)?)
        });
        described_now.ok()
    });
    let started = DirectoryWatch::start(directory, request.recursive, describe_change);
    started.map_err(|error| {
        ConnectError::new(
            ConnectCode::Internal,
            format!("failed to watch {}: {error}", path.inside.display()),
        )
    })
}

pub(super) fn stream(
    sandbox: &Arc<LocalSandbox>,
    call: &ConnectCall,
) -> Result<Response, ConnectError> {
    let watcher = WatchStream {
        watch: start(sandbox, call)?,
        gone: Box::pin(sandbox.gone()),
        keepalive: call.keepalive(),
        deadline: call.timeout().map(|timeout| Instant::now() + timeout),
        started: false,
        ended: false,
    };
    Ok(connect::stream(futures_util::stream::unfold(
        watcher,
        |mut watcher| async move { watcher.next().await.map(|piece| (piece, watcher)) },
    )))
}

struct WatchStream {
    watch: DirectoryWatch,
    /// Completes when the sandbox is killed.
    gone: Pin<Box<dyn Future<Output = ()> + Send>>,
    keepalive: Duration,
    deadline: Option<Instant>,
    started: bool,
    ended: bool,
}

impl WatchStream {
    async fn next(&mut self) -> Option<io::Result<Bytes>> {
        if self.ended {
            return None;
        }
        if !self.started {
            self.started = true;
            return Some(Ok(connect::message(&json!({"start": {}}))));
        }
        let deadline = async {
            match self.deadline {
                Some(deadline) => tokio::time::sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = &mut self.gone => {
                self.ended = true;
                let error = io::Error::new(io::ErrorKind::ConnectionReset, "the sandbox was killed");
                Some(Err(error))
            }
            change = self.watch.changes.recv() => {
                if let Some(change) = change {
                    let message = json!({ "filesystem": event(&change) });
                    return Some(Ok(connect::message(&message)));
                }
                self.ended = true;
                Some(Ok(connect::end_of_stream(None)))
            }
            () = deadline => {
                self.ended = true;
                let error = ConnectError::new(ConnectCode::DeadlineExceeded, "the watch's timeout has passed");
                Some(Ok(connect::end_of_stream(Some(&error))))
            }
            () = tokio::time::sleep(self.keepalive) => {
                Some(Ok(connect::message(&json!({"keepalive": {}}))))
            }
        }
    }
}

fn event(change: &DirectoryChange) -> Value {
    let kind = match change.kind {
        DirectoryChangeKind::Create => "EVENT_TYPE_CREATE",
        DirectoryChangeKind::Write => "EVENT_TYPE_WRITE",
        DirectoryChangeKind::Remove => "EVENT_TYPE_REMOVE",
        DirectoryChangeKind::Rename => "EVENT_TYPE_RENAME",
        DirectoryChangeKind::Chmod => "EVENT_TYPE_CHMOD",
    };
    let mut event = json!({"name": change.name, "type": kind});
    if let Some(entry) = &change.entry {
        event["entry"] = entry.clone();
    }
    event
}
