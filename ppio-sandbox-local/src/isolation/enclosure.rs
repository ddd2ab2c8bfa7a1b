//! One live sandbox as the operating system sees it: a directory, its processes, its limits.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tokio::process::{Child, Command};

use super::cgroup::{Cgroup, CgroupParent, MAX_TASKS};
use super::handover::Handover;
use super::programs::{self, Programs};
use super::{Controllers, Init, Isolation, Limits, Run, SandboxUser, processors, strays};
use crate::identity;
use crate::ownership::Owner;

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
/// does once the platform or the sandbox is gone.
///
/// Shells do not agree on the letters for processes and file locks. A limit that cannot be set is
/// one above the limit that holds already; those that matter are read back when the platform starts.
const ENTER: &str = r#"
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
/// Descriptors that one process of a sandbox can have open.
const MAX_DESCRIPTORS: u64 = 65_536;

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
    user: SandboxUser,
    programs: Programs,
    /// Whether the limit of processes counts those of this sandbox alone.
    counts_processes: bool,
}

impl Place {
    /// The directory that the sandbox sees as `/`.
    pub(crate) fn root(&self) -> PathBuf {
        self.directory.join("root")
    }

    /// The user of the sandbox's processes, `None` for the platform's.
    pub(crate) fn user(&self) -> Option<u32> {
        self.user.id()
    }

    /// The owner of the sandbox's files.
    pub(crate) fn owner(&self) -> Owner {
        self.user.owner()
    }

    pub(crate) fn limits(&self) -> Limits {
        self.limits
    }

    /// A command that enters the sandbox's control and then becomes `arguments`, in a session of
    /// its own: a terminal of the platform is out of its reach. With `controls_terminal` its
    /// standard input becomes the terminal of that session.
    pub(crate) fn command<I, S>(&self, arguments: I, controls_terminal: bool) -> Command
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        let cgroup = self.cgroup.as_ref().map_or(Path::new(""), Cgroup::path);
        let data_kib = if self.controllers.memory {
            0
        } else {
            self.limits.memory_bytes / 1024
        };
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
            .args(["/bin/sh", "-c", ENTER, "ppio-enter"])
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
            .env(MARK, &self.directory)
            .current_dir("/")
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
        user: SandboxUser,
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
        let programs = isolation.programs().clone();
        let processors = (!controllers.cpu && programs.taskset.is_some())
            .then(|| processors::choose(limits.cpu_count))
            .flatten();
        let counts_processes = isolation.counts_processes(&user);
        let place = Place {
            directory,
            cgroup,
            controllers,
            limits,
            locks,
            processors,
            user,
            programs,
            counts_processes,
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
        self.init.as_ref().map(|init| init.first)
    }

    /// The owner of its files and streams.
    pub(crate) fn owner(&self) -> Owner {
        self.place.owner()
    }

    /// A command inside the sandbox, as the leader of a session of its own.
    pub(crate) fn command(&self, run: &Run) -> Command {
        let launch = self.isolation.launch(&self.place, self.init.as_ref(), run);
        let programs = self.isolation.programs();
        let mut variables = launch.variables;
        variables.insert(
            MARK.to_owned(),
            self.place.directory.to_string_lossy().into_owned(),
        );
        let Handover {
            arguments,
            environment,
        } = Handover::new(programs, &launch.directory, &variables, &launch.program);
        let mut all = launch.entering;
        if run.terminal && launch.enters_namespaces {
            // A session of the process namespace, in which shells find themselves.
            programs::push(&mut all, &programs.setsid, ["--ctty"]);
        }
        all.extend(arguments);
        let controls_terminal = run.terminal && !launch.enters_namespaces;
        let mut command = self.place.command(all, controls_terminal);
        command.envs(environment);
        command
    }

    /// The processes of the sandbox right now.
    pub(crate) fn processes(&self) -> io::Result<Vec<i32>> {
        if let Some(cgroup) = &self.place.cgroup {
            return cgroup.pids();
        }
        let mut processes = strays::of(&self.place.directory)?;
        if let Some(init) = &self.init {
            processes.extend(init.processes()?);
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
        // With the first process of a process namespace go all others.
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
