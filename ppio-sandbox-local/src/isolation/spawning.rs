//! Starting processes while files are written that others are about to run.
//!
//! A process that is being started holds copies of every open file of this one until its program
//! replaces it. A program whose file was just written and closed here cannot be run for as long
//! ("text file busy"), which a hundred sandboxes that start at once make likely.

use std::io;
use std::sync::{PoisonError, RwLock};

use tokio::process::{Child, Command};

/// Held shared by every start, exclusively by nobody for longer than it takes to get it.
static STARTS: RwLock<()> = RwLock::new(());

/// Starts a process. All starts of the platform go through here.
pub(crate) fn spawn(command: &mut Command) -> io::Result<Child> {
    let _start = STARTS.read().unwrap_or_else(PoisonError::into_inner);
    // Returns when the new program runs.
    command.spawn()
}

/// Returns once no process holds a file that this process closed before the call. Blocks for as
/// long as the starts take that run already, milliseconds.
pub(crate) fn settle() {
    drop(STARTS.write().unwrap_or_else(PoisonError::into_inner));
}
