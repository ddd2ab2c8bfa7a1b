//! Starts processes while other threads write programs that are about to be run.
//!
//! Between `fork` and `exec` a new process holds copies of every open file. Until that `exec`, a
//! program that was just written and closed cannot be executed ("text file busy"), which happens
//! when a hundred sandboxes start at the same time.

use std::io;
use std::process::Stdio;
use std::sync::{PoisonError, RwLock};

use tokio::net::unix::pipe::{Receiver, Sender};
use tokio::process::{Child, Command};

use crate::files::Owner;

/// The first descriptor after the standard streams.
const FIRST_INHERITED: i32 = 3;

/// Read-locked during every start; write-locked only to wait for starts in progress.
static STARTS: RwLock<()> = RwLock::new(());

/// Starts a process. The platform starts every process with this function, except `bwrap --help`
/// before the first sandbox.
///
/// Descriptors that this process inherited, or that a library opened without `O_CLOEXEC`, are
/// marked to close at `exec`, so that no sandbox inherits them.
pub(crate) fn spawn(command: &mut Command) -> io::Result<Child> {
    let _start = STARTS.read().unwrap_or_else(PoisonError::into_inner);
    close_fds::set_fds_cloexec_threadsafe(FIRST_INHERITED, &[]);
    // Returns after `exec`.
    command.spawn()
}

/// Creates a pipe from a process of a sandbox. The writing end belongs to the sandbox's user, so
/// that the process can open it again as `/dev/stdout`.
pub(crate) fn output_pipe(owner: Owner) -> io::Result<(Receiver, Stdio)> {
    let (reader, writer) = io::pipe()?;
    owner.give(&writer)?;
    let reader = Receiver::from_owned_fd(reader.into())?;
    Ok((reader, Stdio::from(writer)))
}

/// Creates a pipe to a process of a sandbox. The reading end belongs to the sandbox's user, so that
/// the process can open it again as `/dev/stdin`.
pub(crate) fn input_pipe(owner: Owner) -> io::Result<(Sender, Stdio)> {
    let (reader, writer) = io::pipe()?;
    owner.give(&reader)?;
    let writer = Sender::from_owned_fd(writer.into())?;
    Ok((writer, Stdio::from(reader)))
}

/// Returns once no new process holds a file that this process closed before the call. Blocks until
/// the starts in progress are done, some milliseconds.
pub(crate) fn wait_for_starts() {
    drop(STARTS.write().unwrap_or_else(PoisonError::into_inner));
}
