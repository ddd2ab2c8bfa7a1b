//! Writes an uploaded file in place, as envd does: the new content is seen through the file's other
//! names, by programs that have it open and by watches, and a named pipe passes it on.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::time::Duration;

use rustix::fs::{Uid, fchown};
use rustix::io::Errno;
use tokio::io::AsyncWriteExt as _;
use tokio::net::unix::pipe::Sender;
use tokio::time::Instant;

use super::file_metadata::FileMetadata;
use crate::files::{ConfinedPath, SandboxFiles};
use crate::processes;

/// The longest time that an upload to a named pipe waits for a program to open it.
const PIPE_READER_TIMEOUT: Duration = Duration::from_secs(10);
/// The pause between two attempts to open a named pipe.
const PIPE_RETRY_INTERVAL: Duration = Duration::from_millis(10);

/// A file of a sandbox that is open for writing.
pub(super) enum FileWriter {
    File(tokio::fs::File),
    Pipe(Sender),
}

impl FileWriter {
    /// Creates `path` with its directories, or empties it, with the rights of the sandbox's user.
    pub(super) async fn open(files: &SandboxFiles, path: &ConfinedPath) -> io::Result<Self> {
        let deadline = Instant::now() + PIPE_READER_TIMEOUT;
        loop {
            let (files, path) = (files.clone(), path.clone());
            match blocking(move || files.as_user(|| open(path))).await {
                Ok(file) if file.metadata()?.file_type().is_fifo() => {
                    return Sender::from_file(file).map(Self::Pipe);
                }
                Ok(file) => return Ok(Self::File(tokio::fs::File::from_std(file))),
                Err(error) if Errno::from_io_error(&error) != Some(Errno::NXIO) => {
                    return Err(error);
                }
                Err(_) if Instant::now() >= deadline => {
                    return Err(io::Error::new(
                        io::ErrorKind::InvalidInput,
                        "no program reads the named pipe",
                    ));
                }
                Err(_) => tokio::time::sleep(PIPE_RETRY_INTERVAL).await,
            }
        }
    }

    pub(super) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::File(file) => file.write_all(bytes).await,
            Self::Pipe(pipe) => pipe.write_all(bytes).await,
        }
    }

    /// Closes the file and returns the metadata that was stored: `metadata`, or none if the file
    /// cannot have any.
    pub(super) async fn close(self, metadata: FileMetadata) -> io::Result<FileMetadata> {
        let Self::File(mut file) = self else {
            return Ok(FileMetadata::default());
        };
        file.flush().await?;
        let file = file.into_std().await;
        blocking(move || {
            let kept = metadata.write(&file)?;
            drop(file);
            // The caller may run the file next.
            processes::wait_for_starts();
            Ok(kept)
        })
        .await
    }
}

fn open(mut path: ConfinedPath) -> io::Result<File> {
    path.make_parents()?;
    let is_new = path.metadata().is_err();
    let file = path.overwrite()?;
    if is_new {
        // envd makes the user the owner of a new file, and watches report this as a change of the
        // file's mode.
        let owner = Uid::from_raw(file.metadata()?.uid());
        fchown(&file, Some(owner), None)?;
    }
    Ok(file)
}

/// Runs file system calls, which may block.
pub(super) async fn blocking<T: Send + 'static>(
    calls: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(calls)
        .await
        .map_err(io::Error::other)?
}
