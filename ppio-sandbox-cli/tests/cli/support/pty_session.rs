//! The user's side of a pseudo-terminal.

use std::fs::File;
use std::io::Write as _;
use std::thread;
use std::time::Instant;

use rustix::process::Pid;
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcgetpgrp, tcsetwinsize};

use super::process::Reader;
use super::{DEADLINE, POLL};

pub(crate) struct PtySession {
    keys: File,
    screen: Reader,
    /// The number of bytes of output that `expect_output` has passed.
    read: usize,
}

impl PtySession {
    pub(super) fn new(keys: File, screen: Reader) -> Self {
        Self {
            keys,
            screen,
            read: 0,
        }
    }

    pub(super) fn close(self) -> String {
        self.screen.end()
    }

    /// Waits for this text, after the text of the last call.
    #[track_caller]
    pub(crate) fn expect_output(&mut self, text: &str) {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let seen = self.screen.text();
            if let Some(place) = seen[self.read..].find(text) {
                self.read += place + text.len();
                return;
            }
            assert!(Instant::now() < deadline, "no {text:?} in {seen}");
            thread::sleep(POLL);
        }
    }

    /// Returns the whole output so far.
    pub(crate) fn output(&self) -> String {
        self.screen.text()
    }

    pub(crate) fn send_keys(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).expect("typed");
    }

    /// Changes the size of the terminal, as a window does.
    pub(crate) fn resize(&self, columns: u16, rows: u16) {
        let size = Winsize {
            ws_row: rows,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&self.keys, size).expect("resized");
    }

    /// Returns the modes of the terminal.
    pub(crate) fn modes(&self) -> LocalModes {
        tcgetattr(&self.keys).expect("a terminal").local_modes
    }

    /// Returns the foreground process group, which reads the keys.
    pub(crate) fn foreground(&self) -> Pid {
        tcgetpgrp(&self.keys).expect("a foreground group")
    }
}
