//! One live sandbox as the operating system sees it: a directory, its processes, its limits.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tokio::process::{Child, Command};

use super::cgroup::{Cgroup, CgroupParent};
use super::{Controllers, Init, Isolation, Limits, Run, processors, strays};
use crate::identity;

/// Set for every process of a sandbox to the sandbox's directory, so that none can be lost.
pub(crate) const MARK: &str = "PPIO_LOCAL_SANDBOX";

/// Where a sandbox's process groups are written down, each as the leader's line of `/proc`.
pub(crate) const GROUPS: &str = "groups";

/// Where the number is written down that every process of a sandbox has as its limit of file locks.
///
/// Linux has not enforced that limit since 2.4 and still hands it on to children, whatever they
/// do to their environment, session and parents.
pub(crate) const LOCKS: &str = "locks";

/// Puts a process under the sandbox's control *before* it runs anything: it writes down its
/// process group, joins the cgroup, takes its limits, and refuses to run when that fails, which it
/// does once the platform or the sandbox is gone. Shells do not agree on the letter for file locks.
const ENTER: &str = r#"
read -r stat < "/proc/$$/stat" && echo "$stat" >> "$1/groups" || exit 126
if [ -n "$2" ]; then echo 0 > "$2/cgroup.procs" || exit 126; fi
if [ "$3" -gt 0 ]; then ulimit -d "$3"; fi
ulimit -w "$4" 2>/dev/null || ulimit -x "$4" 2>/dev/null
shift 4
exec "$@"
"#;

/// How long processes may take to disappear once they were killed.
const KILL_DEADLINE: Duration = Duration::from_secs(10);

/// Where a sandbox lives, enough to start a process under its control.
#[derive(Debug)]
pub(crate) struct Place {
    directory: PathBuf,
    cgroup: Option<Cgroup>,
    controllers: Controllers,
    limits: Limits,
    /// The number that is kept in [`LOCKS`].
    locks: u64,
    /// The processors it may run on, where its cgroup does not limit its share.
    processors: Option<String>,
}

impl Place {
    /// The directory that the sandbox sees as `/`.
    pub(crate) fn root(&self) -> PathBuf {
        self.directory.join("root")
    }

    /// A command that enters the sandbox's control and then becomes `arguments`.
    pub(crate) fn command<I, S>(&self, arguments: I) -> Command
    where
        I: IntoIterator<Item = S>,
        S: AsRef<std::ffi::OsStr>,
    {
        let cgroup = self.cgroup.as_ref().map_or(Path::new(""), Cgroup::path);
        let data_kib = if self.controllers.memory {
            0
        } else {
            self.limits.memory_bytes / 1024
        };
        let pinned = self
            .processors
            .iter()
            .flat_map(|processors| ["taskset", "--cpu-list", processors].map(OsString::from));
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", ENTER, "ppio-enter"])
            .arg(&self.directory)
            .arg(cgroup)
            .arg(data_kib.to_string())
            .arg(self.locks.to_string())
            .args(pinned)
            .args(arguments)
            .env_clear()
            .env(MARK, &self.directory)
            .process_group(0)
            .stdin(Stdio::null());
        command
    }
}

/// A started sandbox. Dropping it without [`Enclosure::kill`] leaves its end to the watchdog.
#[derive(Debug)]
pub(crate) struct Enclosure {
    place: Place,
    isolation: Arc<dyn Isolation>,
    init: Option<Init>,
    // Holds the pipe that keeps the first process alive.
    _init_process: Option<Child>,
}

impl Enclosure {
    /// Starts a sandbox in `directory`, whose `root` folder it will see as `/`.
    pub(crate) async fn open(
        isolation: Arc<dyn Isolation>,
        directory: PathBuf,
        cgroup: Option<&CgroupParent>,
        limits: Limits,
    ) -> io::Result<Self> {
        fs::write(directory.join(GROUPS), "")?;
        let locks = identity::rare_number();
        fs::write(directory.join(LOCKS), format!("{locks}\n"))?;
        let name = directory
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        let controllers = cgroup.map(CgroupParent::controllers).unwrap_or_default();
        let cgroup = cgroup
            .map(|parent| parent.child(&name, limits))
            .transpose()?;
        let processors = (!controllers.cpu && which::which("taskset").is_ok())
            .then(|| processors::choose(limits.cpu_count))
            .flatten();
        let place = Place {
            directory,
            cgroup,
            controllers,
            limits,
            locks,
            processors,
        };
        match isolation.start(&place).await {
            Ok(started) => {
                let (init, process) = started.unzip();
                Ok(Self {
                    place,
                    isolation,
                    init,
                    _init_process: process,
                })
            }
            Err(error) => {
                let failed = Self {
                    place,
                    isolation,
                    init: None,
                    _init_process: None,
                };
                failed.kill().await?;
                Err(error)
            }
        }
    }

    /// The directory of the sandbox on this machine; its files are in `root` below.
    pub(crate) fn directory(&self) -> &Path {
        &self.place.directory
    }

    /// The directory that the sandbox sees as `/`.
    pub(crate) fn root(&self) -> PathBuf {
        self.place.root()
    }

    /// The first process of its process namespace, where it has one, as this machine numbers it.
    pub(crate) fn init_pid(&self) -> Option<i32> {
        self.init.as_ref().map(|init| init.pid)
    }

    /// A command inside the sandbox, as the leader of a process group of its own.
    pub(crate) fn command(&self, run: &Run) -> Command {
        let launch = self.isolation.launch(&self.root(), self.init.as_ref(), run);
        let mut command = self.place.command(launch.arguments);
        command
            .envs(launch.environment)
            .current_dir(launch.directory);
        command
    }

    /// The processes of the sandbox right now.
    pub(crate) fn processes(&self) -> io::Result<Vec<i32>> {
        if let Some(cgroup) = &self.place.cgroup {
            return cgroup.pids();
        }
        let mut processes = strays::of(&self.place.directory)?;
        if let Some(init) = &self.init {
            processes.extend(strays::in_namespace_of(init.pid)?);
            processes.sort_unstable();
            processes.dedup();
        }
        Ok(processes)
    }

    /// Stops every process where it stands. Memory is kept.
    pub(crate) async fn freeze(&self) -> io::Result<()> {
        match &self.place.cgroup {
            Some(cgroup) => cgroup.freeze().await,
            None => self.signal_until_settled(Signal::STOP).await,
        }
    }

    /// Continues every process.
    pub(crate) async fn thaw(&self) -> io::Result<()> {
        if let Some(cgroup) = &self.place.cgroup {
            return cgroup.thaw().await;
        }
        strays::signal(&self.processes()?, Signal::CONT);
        Ok(())
    }

    /// Ends every process. Returns when none is left.
    pub(crate) async fn kill(&self) -> io::Result<()> {
        if let Some(cgroup) = &self.place.cgroup {
            return cgroup.kill().await;
        }
        if let Some(init) = &self.init {
            // With the first process of a process namespace go all others.
            strays::signal(&[init.pid], Signal::KILL);
        }
        self.signal_until_settled(Signal::KILL).await
    }

    /// Signals until a look at the processes shows nobody new: a process may fork in between.
    async fn signal_until_settled(&self, signal: Signal) -> io::Result<()> {
        let deadline = Instant::now() + KILL_DEADLINE;
        let mut signalled = Vec::new();
        loop {
            let mut alive = self.processes()?;
            alive.sort_unstable();
            let settled = if signal == Signal::KILL {
                alive.is_empty()
            } else {
                alive == signalled
            };
            if settled {
                return Ok(());
            }
            if Instant::now() >= deadline {
                let message = format!("{} processes did not take {signal:?}", alive.len());
                return Err(io::Error::new(io::ErrorKind::TimedOut, message));
            }
            strays::signal(&alive, signal);
            signalled = alive;
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}
