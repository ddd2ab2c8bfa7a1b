//! Pseudo-terminals for interactive processes.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;

use rustix::fs::{Mode, OFlags};
use rustix::process::Pid;
use rustix::pty::OpenptFlags;
use rustix::termios::Winsize;
use tokio::process::Command;

use crate::files::Owner;

/// The platform's end of a pseudo-terminal.
#[derive(Debug, Clone)]
pub(crate) struct PseudoTerminal {
    controller: Arc<OwnedFd>,
    device: PathBuf,
}

impl PseudoTerminal {
    pub(crate) fn open(columns: u16, rows: u16) -> io::Result<Self> {
        let controller =
            rustix::pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        rustix::pty::grantpt(&controller)?;
        rustix::pty::unlockpt(&controller)?;
        let device = rustix::pty::ptsname(&controller, Vec::new())?;
        let device = PathBuf::from(std::ffi::OsStr::from_bytes(device.as_bytes()));
        let terminal = Self {
            controller: Arc::new(controller),
            device,
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

    /// Makes the terminal the standard streams of `command` and gives it to its user. It does not
    /// become the controlling terminal of the platform.
    pub(crate) fn attach(&self, command: &mut Command, owner: Owner) -> io::Result<()> {
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let device = File::from(rustix::fs::open(&self.device, flags, Mode::empty())?);
        owner.give(&device)?;
        command.stdin(Stdio::from(device.try_clone()?));
        command.stdout(Stdio::from(device.try_clone()?));
        command.stderr(Stdio::from(device));
        Ok(())
    }

    /// The process group that leads the session which the terminal controls.
    pub(crate) fn session_leader(&self) -> Option<Pid> {
        rustix::termios::tcgetsid(&self.controller).ok()
    }

    /// A stream of the platform's end. Reads and writes go through the blocking pool.
    pub(crate) fn stream(&self) -> io::Result<tokio::fs::File> {
        Ok(tokio::fs::File::from_std(File::from(
            self.controller.try_clone()?,
        )))
    }
}
