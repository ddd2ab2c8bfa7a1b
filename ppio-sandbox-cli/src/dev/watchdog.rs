//! A process that kills the agents when `agent dev` itself is killed.

use std::io::{self, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use rustix::process::Pid;

/// The variable that marks the agent's processes, including those that leave its process group.
pub(super) const RUN_VARIABLE: &str = "PPIO_DEV_RUN";

/// The script of the watchdog, which reads a list of process groups from a pipe. The kernel closes
/// the pipe when the writer ends, even by SIGKILL. Then the script kills those groups and, with the
/// help of `/proc`, the processes that have [`RUN_VARIABLE`].
const SCRIPT: &str = r#"
trap '' INT TERM HUP
variable=$1 groups=
while read -r sign group; do
  case $sign in
    +) groups="$groups $group" ;;
    -) rest=
       for other in $groups; do [ "$other" = "$group" ] || rest="$rest $other"; done
       groups=$rest ;;
  esac
done
for group in $groups; do kill -s KILL -- "-$group" 2>/dev/null; done
round=0
while [ "$round" -lt 200 ]; do
  round=$((round + 1)) found=
  for environment in $(grep -lzs "^$variable\$" /proc/[0-9]*/environ 2>/dev/null); do
    pid=${environment#/proc/}
    kill -s KILL "${pid%/environ}" 2>/dev/null && found=1
  done
  [ -n "$found" ] || break
  sleep 0.01
done
"#;

#[derive(Debug)]
pub(super) struct GroupWatchdog {
    shell: Child,
    groups: Mutex<ChildStdin>,
    run_id: String,
}

impl GroupWatchdog {
    pub(super) fn start() -> io::Result<Self> {
        // The id of this process is unique among the running ones.
        let run_id = std::process::id().to_string();
        let mut shell = Command::new("/bin/sh")
            .args(["-c", SCRIPT, "ppio-dev-watchdog"])
            .arg(format!("{RUN_VARIABLE}={run_id}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Outside the terminal's process group, so that Ctrl-C signals only `agent dev`, which
            // stops the agents.
            .process_group(0)
            .spawn()?;
        let groups = shell.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
        Ok(Self {
            shell,
            groups: Mutex::new(groups),
            run_id,
        })
    }

    /// Returns the value of [`RUN_VARIABLE`] for the agents of this run.
    pub(super) fn run_id(&self) -> &str {
        &self.run_id
    }

    /// Adds a group, which is then killed when this process ends.
    pub(super) fn guard(&self, group: Pid) -> io::Result<()> {
        self.write('+', group)
    }

    /// Removes a group that has ended: its id may be reused.
    pub(super) fn release(&self, group: Pid) -> io::Result<()> {
        self.write('-', group)
    }

    fn write(&self, sign: char, group: Pid) -> io::Result<()> {
        let mut groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        // The line is shorter than the buffer of a pipe, so the write does not block.
        writeln!(groups, "{sign} {}", group.as_raw_nonzero())
    }

    /// Kills the remaining processes, and waits for the watchdog.
    pub(super) fn finish(self) -> io::Result<()> {
        let Self {
            mut shell, groups, ..
        } = self;
        drop(groups);
        shell.wait().map(drop)
    }
}
