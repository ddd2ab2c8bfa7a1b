//! Starts a process under the control of a sandbox: its cgroup, its limits and its marks.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;

use super::cgroup::{Cgroup, CgroupControllers};
use super::limits::{MAX_TASKS, SandboxLimits};
use super::network::SandboxNetwork;
use super::users::SandboxUser;
use crate::files::Owner;
use crate::processes::{MARK_VARIABLE, SystemPrograms};

/// Puts a process under the sandbox's control *before* its program runs: records its process group,
/// joins the cgroup and sets the limits. The script exits if it cannot record the group or join the
/// cgroup, as happens once the platform or the sandbox is gone.
///
/// The options for processes and file locks differ between shells. Setting a limit fails when it is
/// above the limit that holds already; the limit of processes is checked when the platform starts.
const ENTER_SCRIPT: &str = r#"
read -r stat < "/proc/$$/stat" && echo "$stat" >> "$1/groups" || exit 126
if [ -n "$2" ]; then echo 0 > "$2/cgroup.procs" || exit 126; fi
if [ "$3" -gt 0 ]; then ulimit -d "$3"; fi
ulimit -w "$4" 2>/dev/null || ulimit -x "$4" 2>/dev/null
if [ "$5" -gt 0 ]; then ulimit -p "$5" 2>/dev/null || ulimit -u "$5"; fi 2>/dev/null
{ ulimit -c 0; ulimit -f "$6"; ulimit -n "$7"; } 2>/dev/null
shift 7
exec "$@"
"#;

/// The largest file that a process of a sandbox can write, in bytes.
const MAX_FILE: u64 = 64 << 30;
/// The maximum number of descriptors that one process of a sandbox can have open.
const MAX_DESCRIPTORS: u64 = 65_536;

/// Builds the commands that start the processes of a sandbox.
#[derive(Debug)]
pub(crate) struct ProcessLauncher {
    pub(super) directory: PathBuf,
    pub(super) cgroup: Option<Cgroup>,
    pub(super) controllers: CgroupControllers,
    pub(super) limits: SandboxLimits,
    pub(super) network: SandboxNetwork,
    /// The limit of file locks that marks the processes of the sandbox.
    pub(super) locks: u64,
    /// The processors that the sandbox may use, if no cgroup limits its share.
    pub(super) processors: Option<String>,
    pub(super) user: SandboxUser,
    pub(super) programs: SystemPrograms,
    /// Whether the limit of processes counts the processes of this sandbox only.
    pub(super) counts_processes: bool,
}

impl ProcessLauncher {
    /// Returns the directory that the sandbox sees as `/`.
    pub(crate) fn root(&self) -> PathBuf {
        self.directory.join("root")
    }

    /// Returns the user of the sandbox's processes; `None` for the platform's user.
    pub(crate) fn user(&self) -> Option<u32> {
        self.user.id()
    }

    /// Returns the owner of the sandbox's files.
    pub(crate) fn owner(&self) -> Owner {
        self.user.owner()
    }

    pub(crate) fn limits(&self) -> SandboxLimits {
        self.limits
    }

    /// Returns a command that puts itself under the control of the sandbox and then executes
    /// `arguments`, in a session of its own, so that it cannot use a terminal of the platform. With
    /// `controls_terminal` its standard input becomes the controlling terminal of that session.
    pub(crate) fn command<I, S>(&self, arguments: I, controls_terminal: bool) -> Command
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        let data_kib = if self.controllers.memory {
            0
        } else {
            self.limits.memory_bytes / 1024
        };
        self.limited_command(arguments, controls_terminal, data_kib)
    }

    /// Like [`command`](Self::command), for a program of the platform: its memory is limited by the
    /// sandbox's cgroup only.
    pub(super) fn helper_command<I, S>(&self, arguments: I) -> Command
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        self.limited_command(arguments, false, 0)
    }

    fn limited_command<I, S>(&self, arguments: I, controls_terminal: bool, data_kib: u64) -> Command
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        let cgroup = self.cgroup.as_ref().map_or(Path::new(""), Cgroup::path);
        let processes = if self.controllers.pids || !self.counts_processes {
            0
        } else {
            MAX_TASKS
        };
        let pinned = self.programs.taskset.iter().zip(&self.processors);
        let pinned = pinned.flat_map(|(taskset, processors)| {
            [
                taskset.as_os_str(),
                "--cpu-list".as_ref(),
                processors.as_ref(),
            ]
        });
        let mut command = Command::new(&self.programs.setsid);
        command
            .args(controls_terminal.then_some("--ctty"))
            .args(["/bin/sh", "-c", ENTER_SCRIPT, "ppio-enter"])
            .arg(&self.directory)
            .arg(cgroup)
            .arg(data_kib.to_string())
            .arg(self.locks.to_string())
            .arg(processes.to_string())
            .arg((MAX_FILE / 512).to_string())
            .arg(MAX_DESCRIPTORS.to_string())
            .args(pinned)
            .args(arguments)
            .env_clear()
            .env(MARK_VARIABLE, &self.directory)
            .current_dir("/")
            .stdin(Stdio::null());
        command
    }
}
