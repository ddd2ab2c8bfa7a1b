//! Who sits at a terminal.

use std::fs::File;
use std::io::Write as _;
use std::thread;
use std::time::Instant;

use rustix::process::Pid;
use rustix::termios::{LocalModes, tcgetattr, tcgetpgrp};

use super::process::Reader;
use super::{DEADLINE, POLL};

pub(crate) struct Person {
    keys: File,
    screen: Reader,
    /// How much of what was written to the terminal has been read.
    read: usize,
}

impl Person {
    pub(super) fn at(keys: File, screen: Reader) -> Self {
        Self {
            keys,
            screen,
            read: 0,
        }
    }

    pub(super) fn leave(self) -> String {
        self.screen.end()
    }

    /// Waits until this is to be read, behind what was read before.
    #[track_caller]
    pub(crate) fn reads(&mut self, text: &str) {
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

    /// All that was written to the terminal so far.
    pub(crate) fn sees(&self) -> String {
        self.screen.text()
    }

    pub(crate) fn types(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).expect("typed");
    }

    /// How the terminal takes what is typed.
    pub(crate) fn modes(&self) -> LocalModes {
        tcgetattr(&self.keys).expect("a terminal").local_modes
    }

    /// The process that reads what is typed.
    pub(crate) fn reader(&self) -> Pid {
        tcgetpgrp(&self.keys).expect("somebody reads")
    }
}
