//! The filesystem service.

use std::fs;
use std::io;
use std::path::Path as FilePath;
use std::sync::Arc;

use axum::Extension;
use axum::Json;
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::connect::{self, ConnectCall, ConnectCode, ConnectError};
use super::entry::{describe, io_error, locate};
use super::watch;
use crate::api::PathParameters;
use crate::files::{ConfinedPath, LastLink, OpenDirectory, SandboxFiles};
use crate::sandbox::LocalSandbox;

/// The maximum number of entries in one listing.
const MAX_ENTRIES: usize = 100_000;
/// The maximum number of levels in one listing: each needs a descriptor while it is read.
const MAX_LEVELS: u32 = 256;

#[derive(Debug, Deserialize)]
struct PathRequest {
    #[serde(default)]
    path: String,
}

#[derive(Debug, Deserialize)]
struct MoveRequest {
    source: String,
    destination: String,
}

#[derive(Debug, Deserialize)]
struct ListRequest {
    #[serde(default)]
    path: String,
    #[serde(default)]
    depth: u32,
}

pub(super) async fn call(
    Extension(sandbox): Extension<Arc<LocalSandbox>>,
    PathParameters(method): PathParameters<String>,
    call: ConnectCall,
) -> Response {
    let streaming = call.is_streaming();
    if method == "WatchDir" {
        return watch::stream(&sandbox, &call)
            .unwrap_or_else(|error| connect::refuse(streaming, error));
    }
    // File system calls may block.
    let answer = tokio::task::spawn_blocking(move || unary(&sandbox, &method, &call)).await;
    match answer {
        Ok(Ok(value)) => Json(value).into_response(),
        Ok(Err(error)) => connect::refuse(streaming, error),
        Err(_) => connect::refuse(
            streaming,
            ConnectError::new(ConnectCode::Internal, "the call was interrupted"),
        ),
    }
}

fn unary(sandbox: &LocalSandbox, method: &str, call: &ConnectCall) -> Result<Value, ConnectError> {
    let processes = sandbox.sandbox_processes();
    let files = processes.files();
    match method {
        "Stat" => {
            let request: PathRequest = call.message()?;
            let path = locate(sandbox, call, &request.path, LastLink::Keep)?;
            files
                .as_user(|| describe(files, &path))
                .map(|entry| json!({ "entry": entry }))
                .map_err(|error| io_error("inspect", &path, &error))
        }
        "ListDir" => list(sandbox, call),
        "MakeDir" => {
            let request: PathRequest = call.message()?;
            let path = locate(sandbox, call, &request.path, LastLink::Follow)?;
            make_directory(files, &path)
        }
        "Move" => rename(sandbox, call),
        "Remove" => {
            let request: PathRequest = call.message()?;
            let path = locate(sandbox, call, &request.path, LastLink::Keep)?;
            files
                .as_user(|| remove(&path))
                .map_err(|error| io_error("remove", &path, &error))?;
            Ok(json!({}))
        }
        "CreateWatcher" => watch::create(sandbox, call),
        "GetWatcherEvents" => watch::fetch(sandbox, call),
        "RemoveWatcher" => watch::remove(sandbox, call),
        other => Err(ConnectError::new(
            ConnectCode::Unimplemented,
            format!("unknown method filesystem.Filesystem/{other}"),
        )),
    }
}

fn list(sandbox: &LocalSandbox, call: &ConnectCall) -> Result<Value, ConnectError> {
    let request: ListRequest = call.message()?;
    let path = locate(sandbox, call, &request.path, LastLink::Follow)?;
    let processes = sandbox.sandbox_processes();
    let files = processes.files();
    let mut entries = Vec::new();
    let listed = files.as_user(|| {
        let directory = OpenDirectory::open(&path)?;
        // Proto3 leaves out zero, which stands for one level.
        collect(files, &directory, 1, request.depth.max(1), &mut entries)
    });
    listed.map_err(|error| io_error("list", &path, &error))?;
    Ok(json!({ "entries": entries }))
}

fn collect(
    files: &SandboxFiles,
    directory: &OpenDirectory,
    level: u32,
    depth: u32,
    entries: &mut Vec<Value>,
) -> io::Result<()> {
    if level > MAX_LEVELS {
        return Err(io::Error::other(format!(
            "more than {MAX_LEVELS} levels: list with less depth"
        )));
    }
    for path in directory.entries()? {
        if entries.len() >= MAX_ENTRIES {
            return Err(io::Error::other(format!(
                "more than {MAX_ENTRIES} entries: list with less depth"
            )));
        }
        match describe(files, &path) {
            Ok(entry) => entries.push(entry),
            // Removed since the directory was read.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        }
        if level < depth && path.metadata().is_ok_and(|metadata| metadata.is_dir()) {
            // The directory may have been replaced or removed since.
            if let Ok(below) = OpenDirectory::open(&path) {
                collect(files, &below, level + 1, depth, entries)?;
            }
        }
    }
    Ok(())
}

fn make_directory(files: &SandboxFiles, path: &ConfinedPath) -> Result<Value, ConnectError> {
    let mut made = path.clone();
    let entry = files.as_user(|| {
        made.make_directory()?;
        describe(files, &made)
    });
    let is_directory = || {
        files
            .as_user(|| path.metadata())
            .is_ok_and(|found| found.is_dir())
    };
    match entry {
        Ok(entry) => Ok(json!({ "entry": entry })),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && !is_directory() => {
            Err(ConnectError::invalid(format!(
                "{} exists and is not a directory",
                path.inside.display()
            )))
        }
        Err(error) => Err(io_error("create", path, &error)),
    }
}

fn rename(sandbox: &LocalSandbox, call: &ConnectCall) -> Result<Value, ConnectError> {
    let request: MoveRequest = call.message()?;
    let processes = sandbox.sandbox_processes();
    let files = processes.files();
    let source = locate(sandbox, call, &request.source, LastLink::Keep)?;
    let mut destination = locate(sandbox, call, &request.destination, LastLink::Keep)?;
    let moved = files.as_user(|| {
        source.metadata()?;
        destination.make_parents()?;
        fs::rename(source.host_path()?, destination.host_path()?)?;
        describe(files, &destination)
    });
    moved
        .map(|entry| json!({ "entry": entry }))
        .map_err(|error| io_error("move", &source, &error))
}

/// Removes the file or directory at `path`, if there is one.
fn remove(path: &ConfinedPath) -> io::Result<()> {
    if path.inside == FilePath::new("/") {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "the root directory cannot be removed",
        ));
    }
    let removed = path.metadata().and_then(|metadata| {
        if metadata.is_dir() {
            fs::remove_dir_all(path.host_path()?)
        } else {
            fs::remove_file(path.host_path()?)
        }
    });
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}
