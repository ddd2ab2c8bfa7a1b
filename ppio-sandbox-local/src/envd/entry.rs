//! Looks up files of a sandbox and describes them to clients.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::PathBuf;

use serde_json::{Value, json};

use super::access;
use super::connect::{ConnectCall, ConnectCode, ConnectError};
use super::file_metadata::FileMetadata;
use crate::clock::rfc3339;
use crate::error::with_sources;
use crate::files::{ConfinedPath, LastLink, PathError, SandboxFiles};
use crate::sandbox::{LocalSandbox, user_environment};

/// Describes a file. A symbolic link has the type and the mode of its target, and its description
/// names the target.
pub(super) fn describe(files: &SandboxFiles, path: &ConfinedPath) -> io::Result<Value> {
    let metadata = path.metadata()?;
    let target = metadata.is_symlink().then(|| resolve(files, path));
    let shown = target
        .as_ref()
        .map_or(Some(&metadata), |target| target.metadata.as_ref());
    let name = path
        .inside
        .file_name()
        .map_or_else(|| "/".into(), |name| name.to_string_lossy());
    let [owner, group] = files.owners(&metadata);
    let mut entry = json!({
        "name": name,
        "type": shown.map_or("FILE_TYPE_UNSPECIFIED", file_type),
        "path": path.inside,
        // proto3 JSON writes 64-bit numbers as strings.
        "size": metadata.len().to_string(),
        "mode": shown.map_or(0, |shown| shown.mode() & 0o777),
        "permissions": permissions(&metadata),
        "owner": owner,
        "group": group,
        "modifiedTime": rfc3339(metadata.modified()?),
    });
    let attributes = match &target {
        Some(target) => target.attributes.clone(),
        None => FileMetadata::of(&path.host_path()?),
    };
    if let Some(attributes) = attributes.into_json() {
        entry["metadata"] = attributes;
    }
    if let Some(target) = target {
        entry["symlinkTarget"] = json!(target.path);
    }
    Ok(entry)
}

/// The target of a symbolic link.
struct LinkTarget {
    /// The path as the sandbox sees it; for a dangling link, the path of the link itself.
    path: PathBuf,
    metadata: Option<Metadata>,
    attributes: FileMetadata,
}

fn resolve(files: &SandboxFiles, link: &ConfinedPath) -> LinkTarget {
    let found = files.resolve(&link.inside).ok().and_then(|(path, found)| {
        Some(LinkTarget {
            path,
            metadata: Some(found.metadata().ok()?),
            attributes: FileMetadata::of(&found.host_path().ok()?),
        })
    });
    found.unwrap_or_else(|| LinkTarget {
        path: link.inside.clone(),
        metadata: None,
        attributes: FileMetadata::default(),
    })
}

fn file_type(metadata: &Metadata) -> &'static str {
    if metadata.is_dir() {
        "FILE_TYPE_DIRECTORY"
    } else if metadata.is_file() {
        "FILE_TYPE_FILE"
    } else {
        "FILE_TYPE_UNSPECIFIED"
    }
}

/// Returns the permissions in the format of Go's `FileMode.String`, which envd sends.
fn permissions(metadata: &Metadata) -> String {
    let mode = metadata.mode();
    let kind = metadata.file_type();
    let flags = [
        (kind.is_dir(), "d"),
        (kind.is_symlink(), "L"),
        (kind.is_block_device() || kind.is_char_device(), "D"),
        (kind.is_fifo(), "p"),
        (kind.is_socket(), "S"),
        (mode & 0o4000 != 0, "u"),
        (mode & 0o2000 != 0, "g"),
        (kind.is_char_device(), "c"),
        (mode & 0o1000 != 0, "t"),
    ];
    let mut text: String = flags
        .into_iter()
        .filter_map(|(is_set, letter)| is_set.then_some(letter))
        .collect();
    if text.is_empty() {
        text.push('-');
    }
    text.extend((0..9).rev().map(|bit| {
        let set = mode & (1 << bit) != 0;
        if set { ['x', 'w', 'r'][bit % 3] } else { '-' }
    }));
    text
}

/// Maps a path that a call names; a relative path starts at the home directory of the call's user.
pub(super) fn locate(
    sandbox: &LocalSandbox,
    call: &ConnectCall,
    path: &str,
    last: LastLink,
) -> Result<ConfinedPath, ConnectError> {
    let user = user_environment(&access::user(call.headers()));
    let home = user.get("HOME").map_or("/", String::as_str);
    let processes = sandbox.sandbox_processes();
    let files = processes.files();
    files
        .as_user(|| files.locate(home, path, last))
        .map_err(|error| path_error(&error))
}

pub(super) fn path_error(error: &PathError) -> ConnectError {
    let code = if error.is_denied() {
        ConnectCode::PermissionDenied
    } else {
        ConnectCode::InvalidArgument
    };
    ConnectError::new(code, with_sources(error))
}

pub(super) fn io_error(doing: &str, path: &ConfinedPath, error: &io::Error) -> ConnectError {
    let code = match error.kind() {
        io::ErrorKind::NotFound => ConnectCode::NotFound,
        io::ErrorKind::AlreadyExists => ConnectCode::AlreadyExists,
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            ConnectCode::PermissionDenied
        }
        // The file is a mount point, or the move crosses file systems.
        io::ErrorKind::ResourceBusy | io::ErrorKind::CrossesDevices => {
            ConnectCode::FailedPrecondition
        }
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
