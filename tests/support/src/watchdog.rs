//! Ends an agent when the test process ends without dropping it: on Ctrl-C, a timeout of the test
//! runner, or an abort.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use rustix::process::Pid;

/// A shell that waits for the end of its standard input, which the system closes when the test
/// process ends, and then kills the agent's process group.
pub(crate) struct Watchdog(Child);

impl Watchdog {
    pub(crate) fn guard(group: Pid) -> Self {
        let shell = Command::new("sh")
            .args(["-c", r#"read -r _; kill -s KILL -- "-$1""#, "watchdog"])
            .arg(group.as_raw_nonzero().to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Ctrl-C in a terminal must not end the watchdog before its work is done.
            .process_group(0)
            .spawn()
            .expect("there is a shell");
        Self(shell)
    }

    /// Stops the watchdog.
    pub(crate) fn dismiss(&mut self) {
        // The shell may already have exited.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn the_group_is_killed_when_the_pipe_is_closed() {
        let mut agent = Command::new("sleep")
            .arg("600")
            .process_group(0)
            .spawn()
            .unwrap();
        let mut watchdog = Watchdog::guard(Pid::from_child(&agent));
        assert!(agent.try_wait().unwrap().is_none());
        drop(watchdog.0.stdin.take());
        let deadline = Instant::now() + Duration::from_secs(10);
        let ended = loop {
            let ended = agent.try_wait().unwrap();
            if ended.is_some() || Instant::now() > deadline {
                break ended;
            }
            thread::sleep(Duration::from_millis(2));
        };
        // Cleans up whether or not the agent has ended.
        let _ = agent.kill();
        let _ = agent.wait();
        watchdog.dismiss();
        assert!(!ended.expect("the agent ended").success());
    }
}
