//! Tests the program as users run it: its process, its output, and what it leaves behind.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};
use tempfile::TempDir;

/// The time limit for a condition. Long, because the first run builds the agents.
const DEADLINE: Duration = Duration::from_secs(300);

struct Quickstart {
    process: Child,
    output: BufReader<ChildStdout>,
    // Every process and file of the program has this path in its environment or its name.
    temporary: TempDir,
}

impl Quickstart {
    fn start() -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let mut process = Command::new(env!("CARGO_BIN_EXE_quickstart"))
            .env("TMPDIR", temporary.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        Self {
            process,
            output,
            temporary,
        }
    }

    /// Reads the output up to and including a line that starts with `start`.
    fn read_to(&mut self, start: &str) {
        let mut line = String::new();
        while !line.trim_start().starts_with(start) {
            line.clear();
            let length = self.output.read_line(&mut line).unwrap();
            assert!(length > 0, "the program ended before {start:?}");
        }
    }

    fn interrupt(&self) {
        let pid = Pid::from_child(&self.process);
        rustix::process::kill_process(pid, Signal::INT).unwrap();
    }

    /// Returns the exit code and the rest of the output, once all processes and files are gone.
    fn end(mut self) -> (Option<i32>, String) {
        let mut rest = String::new();
        std::io::Read::read_to_string(&mut self.output, &mut rest).unwrap();
        let status = until(|| self.process.try_wait().unwrap());
        until(|| processes_of(self.temporary.path()).is_empty().then_some(()));
        let files: Vec<_> = fs::read_dir(self.temporary.path()).unwrap().collect();
        assert!(files.is_empty(), "left behind: {files:?}");
        (status.code(), rest)
    }
}

impl Drop for Quickstart {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn until<T>(mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < deadline, "the condition was not met");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Returns the processes whose environment contains `directory`: the program, its cargo, its
/// watchdog, its sandboxes.
fn processes_of(directory: &Path) -> Vec<String> {
    let wanted = directory.as_os_str().as_bytes();
    fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter(|entry| {
            fs::read(entry.path().join("environ"))
                .is_ok_and(|environ| environ.windows(wanted.len()).any(|part| part == wanted))
        })
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}

#[test]
fn the_tour_shows_everything_and_leaves_nothing() {
    let quickstart = Quickstart::start();
    let (code, output) = quickstart.end();
    assert_eq!(code, Some(0), "{output}");
    for shown in [
        "agents      hello, stream, counter built in",
        "platform    http://127.0.0.1:",
        r#"{"message":"Hello, Ada!"}"#,
        "Each word arrives as the agent says it.\n",
        "the agent counts 2\n  paused: paused\n  resumed: active\n  the agent counts 3\n  memory was kept",
        "all closed, 0 sandboxes left",
    ] {
        assert!(output.contains(shown), "{shown:?} is not in\n{output}");
    }
}

#[test]
fn an_interrupt_leaves_nothing() {
    // After the agents are built, while templates and sessions are created, and in the middle of a
    // stream.
    for moment in ["agents", "platform", "# A value", "# A stream"] {
        let mut quickstart = Quickstart::start();
        quickstart.read_to(moment);
        quickstart.interrupt();
        let (code, output) = quickstart.end();
        assert_eq!(code, Some(130), "{moment}: {output}");
        assert!(output.contains("stopped: nothing is left behind"));
    }
}

#[test]
fn an_interrupt_during_the_build_leaves_nothing() {
    let quickstart = Quickstart::start();
    // Cargo starts after the signal handlers are installed.
    until(|| (processes_of(quickstart.temporary.path()).len() > 1).then_some(()));
    quickstart.interrupt();
    let (code, _) = quickstart.end();
    assert_eq!(code, Some(130));
}
