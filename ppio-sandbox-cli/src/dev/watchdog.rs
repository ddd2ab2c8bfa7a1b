//! Ends what `agent dev` started when `agent dev` itself is killed.

use std::io::{self, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use rustix::process::Pid;

/// The variable that marks the agent's processes, wherever they move to.
pub(super) const MARK: &str = "PPIO_DEV_RUN";

/// Keeps the list of process groups it reads from a pipe, which the system closes when the writer is gone, however it
/// went. Then it kills those groups, and where there is a `/proc` also what left its group but carries the mark.
const SCRIPT: &str = r#"
trap '' INT TERM HUP
mark=$1 groups=
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
  for environment in $(grep -lzs "^$mark\$" /proc/[0-9]*/environ 2>/dev/null); do
    pid=${environment#/proc/}
    kill -s KILL "${pid%/environ}" 2>/dev/null && found=1
  done
  [ -n "$found" ] || break
  sleep 0.01
done
"#;

#[derive(Debug)]
pub(super) struct Watchdog {
    shell: Child,
    groups: Mutex<ChildStdin>,
    mark: String,
}

impl Watchdog {
    pub(super) fn start() -> io::Result<Self> {
        // Unique among all that runs: this process's id.
        let mark = std::process::id().to_string();
        let mut shell = Command::new("/bin/sh")
            .args(["-c", SCRIPT, "ppio-dev-watchdog"])
            .arg(format!("{MARK}={mark}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Out of the terminal's group: Ctrl-C is for `agent dev`, which then ends in order.
            .process_group(0)
            .spawn()?;
        let groups = shell.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
        Ok(Self {
            shell,
            groups: Mutex::new(groups),
            mark,
        })
    }

    /// The value of [`MARK`] for an agent that is started now.
    pub(super) fn mark(&self) -> &str {
        &self.mark
    }

    /// From now on the group ends with this process.
    pub(super) fn guard(&self, group: Pid) -> io::Result<()> {
        self.write('+', group)
    }

    /// The group has ended; its number may soon be another's.
    pub(super) fn release(&self, group: Pid) -> io::Result<()> {
        self.write('-', group)
    }

    fn write(&self, sign: char, group: Pid) -> io::Result<()> {
        let mut groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        // A pipe takes so little at once, without waiting for the reader.
        writeln!(groups, "{sign} {}", group.as_raw_nonzero())
    }

    /// Ends what is left, and the watchdog.
    pub(super) fn finish(self) -> io::Result<()> {
        let Self {
            mut shell, groups, ..
        } = self;
        drop(groups);
        shell.wait().map(drop)
    }
}
