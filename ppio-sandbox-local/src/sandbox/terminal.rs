//! Pseudo-terminals for interactive processes.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;

use rustix::pty::OpenptFlags;
use rustix::termios::Winsize;
use tokio::process::Command;

/// The platform's end of a pseudo-terminal.
#[derive(Debug, Clone)]
pub(crate) struct Terminal {
    controller: Arc<OwnedFd>,
    device: PathBuf,
}

impl Terminal {
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

    /// Makes the terminal the standard streams of `command`.
    pub(crate) fn attach(&self, command: &mut Command) -> io::Result<()> {
        let device = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&self.device)?;
        command.stdin(Stdio::from(device.try_clone()?));
        command.stdout(Stdio::from(device.try_clone()?));
        command.stderr(Stdio::from(device));
        Ok(())
    }

    /// A stream of the platform's end. Reads and writes go through the blocking pool.
    pub(crate) fn stream(&self) -> io::Result<tokio::fs::File> {
        Ok(tokio::fs::File::from_std(File::from(
            self.controller.try_clone()?,
        )))
    }
}
