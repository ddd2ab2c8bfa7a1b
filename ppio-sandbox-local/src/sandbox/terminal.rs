//! Pseudo-terminals for interactive processes.

use std::fs::File;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::process::Stdio;
use std::sync::Arc;

use rustix::fs::{Mode, OFlags, openat};
use rustix::process::Pid;
use rustix::pty::OpenptFlags;
use rustix::termios::Winsize;
use tokio::net::unix::pipe::{Receiver, Sender};
use tokio::process::Command;

use crate::files::Owner;

/// The flags that open a terminal. They include `NOCTTY`: the platform may lead a session without a
/// terminal, and a terminal that is opened without this flag would become the platform's
/// controlling terminal.
const FLAGS: OpenptFlags = OpenptFlags::RDWR
    .union(OpenptFlags::NOCTTY)
    .union(OpenptFlags::CLOEXEC);

/// The platform's end of a pseudo-terminal.
#[derive(Debug, Clone)]
pub(crate) struct PseudoTerminal {
    controller: Arc<OwnedFd>,
}

impl PseudoTerminal {
    /// Opens a terminal below `root`, the root directory of a sandbox that has devices of its own,
    /// so that the programs of the sandbox find the terminal's device. Without `root`, opens a
    /// terminal of this machine.
    pub(crate) fn open(root: Option<BorrowedFd<'_>>, columns: u16, rows: u16) -> io::Result<Self> {
        let controller = match root {
            Some(root) => {
                let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NOCTTY | OFlags::CLOEXEC;
                openat(root, "dev/pts/ptmx", flags, Mode::empty())?
            }
            None => rustix::pty::openpt(FLAGS)?,
        };
        rustix::pty::grantpt(&controller)?;
        rustix::pty::unlockpt(&controller)?;
        let flags = rustix::fs::fcntl_getfl(&controller)?;
        rustix::fs::fcntl_setfl(&controller, flags | OFlags::NONBLOCK)?;
        let terminal = Self {
            controller: Arc::new(controller),
        };
        terminal.resize(columns, rows)?;
        Ok(terminal)
    }

    pub(crate) fn resize(&self, columns: u16, rows: u16) -> io::Result<()> {
        let size = Winsize {
            ws_row: rows,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        rustix::termios::tcsetwinsize(&self.controller, size).map_err(io::Error::from)
    }

    /// Makes the terminal the standard streams of `command` and gives it to `owner`.
    pub(crate) fn attach(&self, command: &mut Command, owner: Owner) -> io::Result<()> {
        let device = File::from(rustix::pty::ioctl_tiocgptpeer(&self.controller, FLAGS)?);
        owner.give(&device)?;
        command.stdin(Stdio::from(device.try_clone()?));
        command.stdout(Stdio::from(device.try_clone()?));
        command.stderr(Stdio::from(device));
        Ok(())
    }

    /// Returns the process group that leads the terminal's session.
    pub(crate) fn session_leader(&self) -> Option<Pid> {
        rustix::termios::tcgetsid(&self.controller).ok()
    }

    /// Returns the platform's end, to read from and to write to. This end is polled like a pipe.
    pub(crate) fn streams(&self) -> io::Result<(Receiver, Sender)> {
        Ok((
            Receiver::from_owned_fd_unchecked(self.controller.try_clone()?)?,
            Sender::from_owned_fd_unchecked(self.controller.try_clone()?)?,
        ))
    }
}
