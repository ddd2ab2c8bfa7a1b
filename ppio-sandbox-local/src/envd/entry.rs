//! Files of a sandbox: looked up, and described to clients.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;

use serde_json::{Value, json};

use super::access;
use super::connect::{ConnectCall, ConnectCode, ConnectError};
use crate::clock::rfc3339;
use crate::error::with_sources;
use crate::files::{ConfinedPath, LastLink, PathError, confine};
use crate::sandbox::{LocalSandbox, user_environment};

/// Describes a file; a symbolic link as what it points to, with its target named.
pub(super) fn describe(path: &ConfinedPath) -> io::Result<Value> {
    let metadata = path.metadata()?;
    let name = path
        .inside
        .file_name()
        .map_or_else(|| "/".into(), |name| name.to_string_lossy());
    let mut entry = json!({
        "name": name,
        "type": file_type(&metadata),
        "path": path.inside,
        // 64-bit numbers travel as text in proto3 JSON.
        "size": metadata.len().to_string(),
        "mode": metadata.mode() & 0o7777,
        "permissions": permissions(&metadata),
        "owner": "user",
        "group": "user",
        "modifiedTime": rfc3339(metadata.modified()?),
    });
    if metadata.is_symlink() {
        entry["symlinkTarget"] = json!(fs::read_link(path.host_path()?)?);
    }
    Ok(entry)
}

fn file_type(metadata: &Metadata) -> &'static str {
    if metadata.is_dir() {
        "FILE_TYPE_DIRECTORY"
    } else if metadata.is_symlink() {
        "FILE_TYPE_SYMLINK"
    } else {
        "FILE_TYPE_FILE"
    }
}

/// As `ls -l` shows them.
fn permissions(metadata: &Metadata) -> String {
    let kind = if metadata.is_dir() {
        'd'
    } else if metadata.is_symlink() {
        'l'
    } else {
        '-'
    };
    let bits = (0..9).rev().map(|bit| {
        let set = metadata.mode() & (1 << bit) != 0;
        if set { ['x', 'w', 'r'][bit % 3] } else { '-' }
    });
    std::iter::once(kind).chain(bits).collect()
}

/// Maps a path that a call names, relative to the home of its user.
pub(super) fn locate(
    sandbox: &LocalSandbox,
    call: &ConnectCall,
    path: &str,
    last: LastLink,
) -> Result<ConfinedPath, ConnectError> {
    let user = user_environment(&access::user(call.headers()));
    let home = user.get("HOME").map_or("/", String::as_str);
    confine(&sandbox.sandbox_processes().root(), home, path, last)
        .map_err(|error| path_error(&error))
}

pub(super) fn path_error(error: &PathError) -> ConnectError {
    ConnectError::invalid(with_sources(error))
}

pub(super) fn io_error(doing: &str, path: &ConfinedPath, error: &io::Error) -> ConnectError {
    let code = match error.kind() {
        io::ErrorKind::NotFound => ConnectCode::NotFound,
        io::ErrorKind::AlreadyExists => ConnectCode::AlreadyExists,
        io::ErrorKind::PermissionDenied => ConnectCode::PermissionDenied,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ConnectCode::ResourceExhausted,
        io::ErrorKind::NotADirectory
        | io::ErrorKind::IsADirectory
        | io::ErrorKind::DirectoryNotEmpty
        | io::ErrorKind::InvalidInput
        | io::ErrorKind::InvalidFilename => ConnectCode::InvalidArgument,
        _ => ConnectCode::Internal,
    };
    ConnectError::new(
        code,
        format!("failed to {doing} {}: {error}", path.inside.display()),
    )
}
