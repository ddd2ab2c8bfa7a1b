//! The watchdog process, which ends sandboxes when their platform was killed.

use std::io;
use std::path::Path;
use std::process::Stdio;

use ppio_agent_protocol::environment;
use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, Command};

use super::marks::MARK_VARIABLE;
use super::programs::SYSTEM_PATH;
use super::spawning::spawn;

/// Waits on a pipe, which the kernel closes when the platform ends. The word `done` means that the
/// platform has ended its sandboxes itself.
///
/// The directory is renamed first: a sandbox that is just starting then fails to enter (see the
/// script in `isolation/launcher.rs`), so no process can start during the search.
///
/// The watchdog is a shell script, because a library cannot run a part of itself as a process that
/// outlives its program. The script searches for the same marks as `process_discovery`, but not for
/// the children of marked processes.
const SCRIPT: &str = r#"
trap '' INT TERM HUP
read -r word
[ "$word" = done ] && exit 0
run=$1 cgroup=$2 mark=$3 link=$4
dead="$run.dead.$$"
mv "$run" "$dead" 2>/dev/null || dead=$run
clean=0 round=0
while [ "$clean" -lt 2 ] && [ "$round" -lt 200 ]; do
  round=$((round + 1)) busy=0
  if [ -n "$cgroup" ]; then
    for child in "$cgroup"/*/; do
      [ -e "$child/cgroup.kill" ] || continue
      echo 1 > "$child/cgroup.kill"
      rmdir "$child" 2>/dev/null || busy=1
    done
  fi
  cat "$dead"/*/groups 2>/dev/null | while read -r group; do
    pid=${group%% *}
    # The number of a group that has ended may be reused: require the same leader, or none.
    if read -r leader 2>/dev/null < "/proc/$pid/stat"; then
      set -- ${group##*) }; started=${20}
      set -- ${leader##*) }
      [ "${20}" = "$started" ] || continue
    fi
    kill -9 -- "-$pid" 2>/dev/null
  done
  for environment in $(grep -lzs "^$mark=$run/" /proc/[0-9]*/environ 2>/dev/null); do
    pid=${environment#/proc/}
    kill -9 "${pid%/environ}" 2>/dev/null && busy=1
  done
  # The limit of file locks that marks them. Only numbers become patterns: an empty pattern would
  # match every process.
  for limits in $(sed -n 's/^[0-9]\{19\}$/ & /p' "$dead"/*/locks 2>/dev/null |
    grep -lsFf - /proc/[0-9]*/limits 2>/dev/null); do
    pid=${limits#/proc/} pid=${pid%/limits}
    read -r stat 2>/dev/null < "/proc/$pid/stat" || continue
    # A zombie keeps its limits until its parent waits for it.
    case ${stat##*) } in Z*|X*) continue ;; esac
    kill -9 "$pid" 2>/dev/null && busy=1
  done
  if [ "$busy" = 0 ]; then clean=$((clean + 1)); else clean=0; fi
  sleep 0.02
done
[ -n "$cgroup" ] && rmdir "$cgroup" 2>/dev/null
# A sandbox may have made its directories unreadable for its own user.
[ "$dead" = "$run" ] || rm -rf "$dead" || { chmod -R u+rwx "$dead"; rm -rf "$dead"; }
[ -z "$link" ] || rm -f "$link"
"#;

#[derive(Debug)]
pub(crate) struct PlatformWatchdog {
    process: Child,
}

impl PlatformWatchdog {
    /// Starts the watchdog for the sandboxes in `run_directory`. `link` is the link to this
    /// directory in the platform's home, if the directory is elsewhere.
    pub(crate) fn start(
        run_directory: &Path,
        link: Option<&Path>,
        cgroup: Option<&Path>,
    ) -> io::Result<Self> {
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", SCRIPT, "ppio-watchdog"])
            .arg(run_directory)
            .arg(cgroup.unwrap_or(Path::new("")))
            .arg(MARK_VARIABLE)
            .arg(link.unwrap_or(Path::new("")))
            .env_clear()
            .env(
                "PATH",
                environment::variable("PATH").unwrap_or(SYSTEM_PATH.into()),
            )
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Outside the terminal's process group, so that Ctrl-C does not reach the watchdog.
            .process_group(0);
        let process = spawn(&mut command)?;
        Ok(Self { process })
    }

    /// Ends the watchdog after the platform has ended its sandboxes.
    pub(crate) async fn dismiss(mut self) -> io::Result<()> {
        if let Some(mut pipe) = self.process.stdin.take() {
            pipe.write_all(b"done\n").await?;
        }
        self.process.wait().await.map(drop)
    }
}
