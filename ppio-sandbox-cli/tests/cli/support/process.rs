//! Running commands and their results.

use std::io::Read;
use std::process::{Child, ChildStdin, ExitStatus};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::{DEADLINE, POLL};

/// The longest time that a process of a failed test may take to exit after SIGTERM.
const STOP_TIMEOUT: Duration = Duration::from_secs(20);

/// Whether a process is running.
pub(crate) fn is_alive(process: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{process}/stat"));
    status.is_ok_and(|status| !status.contains(") Z "))
}

/// Sends a signal to a process, which may have exited.
pub(crate) fn send(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let _ = kill_process(pid.expect("a process id"), signal);
}

/// Whether a process has a handler for a signal.
pub(crate) fn catches(pid: u32, signal: Signal) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let caught = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    caught.is_some_and(|mask| mask & (1 << (signal.as_raw() - 1)) != 0)
}

/// Reads a stream on a thread.
pub(crate) struct Reader {
    text: Arc<Mutex<Vec<u8>>>,
    thread: JoinHandle<()>,
}

impl Reader {
    pub(super) fn start(mut stream: impl Read + Send + 'static) -> Self {
        let text = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&text);
        let thread = thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = stream.read(&mut buffer) {
                sink.lock()
                    .expect("no panic")
                    .extend_from_slice(&buffer[..count]);
            }
        });
        Self { text, thread }
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.text.lock().expect("no panic")).into_owned()
    }

    /// Returns the whole text, after the end of the stream.
    pub(super) fn end(self) -> String {
        let _ = self.thread.join();
        let bytes = std::mem::take(&mut *self.text.lock().expect("no panic"));
        String::from_utf8(bytes).expect("UTF-8")
    }
}

/// A process that is stopped on drop, so that a failed test leaves none behind.
pub(crate) struct Process(Child);

impl Process {
    pub(super) fn of(child: Child) -> Self {
        Self(child)
    }

    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    /// Returns the exit status, if the process has exited.
    pub(crate) fn status(&mut self) -> Option<ExitStatus> {
        self.0.try_wait().expect("a child")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // SIGTERM first, so that the command stops the processes that it started.
        for signal in [Signal::TERM, Signal::KILL] {
            if !matches!(self.0.try_wait(), Ok(None)) {
                return;
            }
            send(self.id(), signal);
            let deadline = Instant::now() + STOP_TIMEOUT;
            while matches!(self.0.try_wait(), Ok(None)) && Instant::now() < deadline {
                thread::sleep(POLL);
            }
        }
    }
}

/// A running command.
pub(crate) struct Running {
    process: Process,
    stdout: Reader,
    stderr: Reader,
    /// The standard input, which is kept open.
    _stdin: Option<ChildStdin>,
}

impl Running {
    pub(super) fn of(mut child: Child, stdin: Option<ChildStdin>) -> Self {
        Self {
            stdout: Reader::start(child.stdout.take().expect("piped")),
            stderr: Reader::start(child.stderr.take().expect("piped")),
            process: Process::of(child),
            _stdin: stdin,
        }
    }

    pub(crate) fn stdout(&self) -> String {
        self.stdout.text()
    }

    pub(crate) fn stderr(&self) -> String {
        self.stderr.text()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Sends SIGINT, as Ctrl-C does.
    pub(crate) fn interrupt(&self) {
        send(self.pid(), Signal::INT);
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.process.status().is_some()
    }

    /// Waits for the command to exit.
    pub(crate) fn wait(mut self) -> Done {
        let deadline = Instant::now() + DEADLINE;
        let status = loop {
            match self.process.status() {
                Some(status) => break status,
                None if Instant::now() < deadline => thread::sleep(POLL),
                None => panic!(
                    "the command did not end\n--- stdout\n{}\n--- stderr\n{}",
                    self.stdout(),
                    self.stderr()
                ),
            }
        };
        Done {
            status,
            stdout: self.stdout.end(),
            stderr: self.stderr.end(),
        }
    }
}

/// The result of a command.
#[derive(Debug)]
pub(crate) struct Done {
    status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Done {
    /// Asserts the exit code.
    #[track_caller]
    pub(crate) fn code(self, expected: i32) -> Self {
        assert_eq!(
            self.status.code(),
            Some(expected),
            "{}\n--- stdout\n{}\n--- stderr\n{}",
            self.status,
            self.stdout,
            self.stderr
        );
        self
    }

    /// Returns standard output as one JSON document on one line.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.stdout.lines().count(), 1, "{self:?}");
        serde_json::from_str(&self.stdout).expect("standard output is JSON")
    }

    /// Returns standard output as JSON lines.
    #[track_caller]
    pub(crate) fn json_lines(&self) -> Vec<Value> {
        let lines = self.stdout.lines();
        lines
            .map(|line| serde_json::from_str(line).expect("each line is JSON"))
            .collect()
    }

    /// Returns standard error as the document of an error in JSON output.
    #[track_caller]
    pub(crate) fn failure(&self) -> Value {
        assert_eq!(self.stderr.lines().count(), 1, "{self:?}");
        serde_json::from_str(&self.stderr).expect("standard error is JSON")
    }

    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Self {
        assert!(self.stderr.contains(text), "no {text:?} in {}", self.stderr);
        self
    }
}
