//! The processes of one sandbox: started, paused, resumed and killed together.

use std::fs;
use std::io;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags, ResolveFlags, open, openat2};
use rustix::io::Errno;
use rustix::process::Signal;
use tokio::process::{Child, Command};

use super::cgroup::CgroupParent;
use super::connector::NetworkConnector;
use super::handover::Handover;
use super::interface::{Isolation, SandboxCommand, StartedNamespaces};
use super::kind::IsolationKind;
use super::launcher::ProcessLauncher;
use super::limits::SandboxLimits;
use super::namespaces::Namespaces;
use super::network::SandboxNetwork;
use super::pasta::PastaProcess;
use super::processors;
use super::root::prepare_root;
use super::users::SandboxUser;
use crate::files::{self, Owner, SandboxFiles};
use crate::identity;
use crate::processes::{self, GROUPS_FILE, LOCKS_FILE, MARK_VARIABLE};

/// The longest time that processes may take to end after SIGKILL, or to stop after SIGSTOP.
const KILL_TIMEOUT: Duration = Duration::from_secs(10);
/// The time that the parents of killed processes are given to wait for these processes and to end.
const PARENT_TIMEOUT: Duration = Duration::from_secs(1);
/// The pause between two signals to the processes of a sandbox.
const SETTLE_INTERVAL: Duration = Duration::from_millis(2);

/// The processes of a started sandbox. Dropping this value without [`SandboxProcesses::kill`] only
/// closes the standard input of the first process; processes that still run are left to the
/// watchdog.
#[derive(Debug)]
pub(crate) struct SandboxProcesses {
    launcher: ProcessLauncher,
    isolation: Arc<dyn Isolation>,
    namespaces: Option<Namespaces>,
    files: SandboxFiles,
    /// The processes of the isolation itself, which run as long as the sandbox. Empty without
    /// namespaces.
    own: Vec<i32>,
    /// The first process of the namespaces, which runs until its standard input is closed.
    first_process: Option<Child>,
    /// `Some` if the sandbox has a network of its own.
    connector: Option<NetworkConnector>,
    /// `Some` if the network of the sandbox has internet access.
    pasta: Option<PastaProcess>,
}

impl SandboxProcesses {
    /// Starts a sandbox in `directory`, whose `root` folder it sees as `/`.
    pub(crate) async fn open(
        isolation: Arc<dyn Isolation>,
        directory: PathBuf,
        cgroup: Option<&CgroupParent>,
        limits: SandboxLimits,
        network: SandboxNetwork,
        user: SandboxUser,
    ) -> io::Result<Self> {
        fs::write(directory.join(GROUPS_FILE), "")?;
        let locks = identity::rare_number();
        fs::write(directory.join(LOCKS_FILE), format!("{locks}\n"))?;
        let name = directory
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        // Joining a cgroup takes some 10 ms per started process, because it waits for all
        // processors. The processes of a process namespace end together without a cgroup.
        let cgroup = cgroup.filter(|parent| {
            isolation.kind() == IsolationKind::ProcessGroup || parent.controllers().any()
        });
        let controllers = cgroup.map(CgroupParent::controllers).unwrap_or_default();
        let cgroup = cgroup
            .map(|parent| parent.child(&name, limits))
            .transpose()?;
        let programs = isolation.programs().clone();
        let processors = (!controllers.cpu && programs.taskset.is_some())
            .then(|| processors::choose(limits.cpu_count))
            .flatten();
        let counts_processes = isolation.counts_processes(&user);
        let launcher = ProcessLauncher {
            directory,
            cgroup,
            controllers,
            limits,
            network,
            locks,
            processors,
            user,
            programs,
            counts_processes,
        };
        let started = isolation.start(&launcher).await.and_then(|started| {
            let (files, own) = if let Some(StartedNamespaces { namespaces, .. }) = &started {
                let root = PathBuf::from(format!("/proc/{}/root", namespaces.first));
                let files = SandboxFiles::in_namespace(&root, launcher.owner())?;
                (files, running(&launcher, Some(namespaces))?)
            } else {
                let files = SandboxFiles::below(&launcher.root(), launcher.owner())?;
                (files, Vec::new())
            };
            Ok((started, files, own))
        });
        match started {
            Ok((started, files, own)) => {
                let mut processes = Self {
                    launcher,
                    isolation,
                    namespaces: None,
                    files,
                    own,
                    first_process: None,
                    connector: None,
                    pasta: None,
                };
                if let Some(started) = started {
                    processes.namespaces = Some(started.namespaces);
                    processes.first_process = Some(started.first_process);
                    processes.connector = started.connector;
                    processes.pasta = started.pasta;
                }
                Ok(processes)
            }
            Err(error) => {
                end_processes(&launcher, None).await?;
                Err(error)
            }
        }
    }

    /// Whether processes can be started: the first process, if there is one, still runs.
    pub(crate) fn are_ready(&mut self) -> bool {
        self.first_process
            .as_mut()
            .is_none_or(|process| matches!(process.try_wait(), Ok(None)))
    }

    /// Ends every process and starts the sandbox again, with the files that it has now.
    pub(crate) async fn start_again(&self, cgroup: Option<&CgroupParent>) -> io::Result<Self> {
        self.kill().await?;
        // Programs of the sandbox may have replaced mount points by links.
        prepare_root(&self.root(), self.owner())?;
        let launcher = &self.launcher;
        Self::open(
            Arc::clone(&self.isolation),
            launcher.directory.clone(),
            cgroup,
            launcher.limits,
            launcher.network,
            launcher.user.clone(),
        )
        .await
    }

    /// Returns the directory of the sandbox on this machine; its files are in `root` below.
    pub(crate) fn directory(&self) -> &Path {
        &self.launcher.directory
    }

    /// Returns the directory that the sandbox sees as `/`.
    pub(crate) fn root(&self) -> PathBuf {
        self.launcher.root()
    }

    /// Returns the files of the sandbox, as its processes see them.
    pub(crate) fn files(&self) -> &SandboxFiles {
        &self.files
    }

    /// Returns the root directory of the sandbox, if the sandbox has devices of its own.
    pub(crate) fn device_root(&self) -> Option<BorrowedFd<'_>> {
        self.namespaces.as_ref().map(|_| self.files.root())
    }

    /// Returns the pid, on this machine, of the first process of the sandbox's process namespace.
    /// `None` without namespaces.
    pub(crate) fn first_process(&self) -> Option<i32> {
        self.namespaces.as_ref().map(|namespaces| namespaces.first)
    }

    /// Whether the sandbox's processes see a directory at this absolute path. Also true if that
    /// cannot be determined; the start of the program then reports the error.
    pub(crate) fn has_directory(&self, path: &str) -> bool {
        let Some(first) = self.first_process() else {
            // Resolves the path as the isolation without namespaces does.
            return files::join(&self.root(), Path::new(path)).is_dir() || Path::new(path).is_dir();
        };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let Ok(root) = open(format!("/proc/{first}/root"), flags, Mode::empty()) else {
            return true;
        };
        let found = openat2(root, path, flags, Mode::empty(), ResolveFlags::IN_ROOT);
        !matches!(
            found,
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NAMETOOLONG)
        )
    }

    pub(crate) fn network(&self) -> SandboxNetwork {
        self.launcher.network
    }

    /// Returns the connector to the ports of the sandbox, if the sandbox has a network of its own.
    pub(crate) fn connector(&self) -> Option<&NetworkConnector> {
        self.connector.as_ref()
    }

    /// Returns the owner of the sandbox's files and streams.
    pub(crate) fn owner(&self) -> Owner {
        self.launcher.owner()
    }

    /// Returns a command in the sandbox, in a session of its own.
    pub(crate) fn command(&self, run: &SandboxCommand) -> Command {
        let launch = self
            .isolation
            .host_command(&self.launcher, self.namespaces.as_ref(), run);
        let programs = self.isolation.programs();
        let mut variables = launch.variables;
        variables.insert(
            MARK_VARIABLE.to_owned(),
            self.launcher.directory.to_string_lossy().into_owned(),
        );
        let Handover {
            arguments,
            environment,
        } = Handover::new(programs, &launch.directory, &variables, &launch.program);
        let mut all = launch.entering;
        if run.terminal && launch.enters_namespaces {
            // Creates the session in the process namespace, so that shells can read its number.
            processes::push_program(&mut all, &programs.setsid, ["--ctty"]);
        }
        all.extend(arguments);
        let controls_terminal = run.terminal && !launch.enters_namespaces;
        let mut command = self.launcher.command(all, controls_terminal);
        command.envs(environment);
        command
    }

    /// Returns the pids of the running processes.
    pub(crate) fn processes(&self) -> io::Result<Vec<i32>> {
        running(&self.launcher, self.namespaces.as_ref())
    }

    /// Whether nothing runs in the sandbox. Blocks on file system calls.
    pub(crate) fn are_idle(&self) -> bool {
        let running = self.processes();
        running.is_ok_and(|running| running.iter().all(|pid| self.own.contains(pid)))
    }

    /// Stops every process. Memory is kept.
    pub(crate) async fn freeze(&self) -> io::Result<()> {
        match &self.launcher.cgroup {
            Some(cgroup) => cgroup.freeze().await,
            None => stop_processes(&self.launcher, self.namespaces.as_ref()).await,
        }
    }

    /// Continues every process.
    pub(crate) async fn thaw(&self) -> io::Result<()> {
        if let Some(cgroup) = &self.launcher.cgroup {
            return cgroup.thaw().await;
        }
        processes::signal(&self.processes()?, Signal::CONT);
        Ok(())
    }

    /// Ends every process. Returns when none is left, except a killed first process that the kernel
    /// has not removed yet.
    pub(crate) async fn kill(&self) -> io::Result<()> {
        // `pasta` runs outside the process namespace and does not end by itself, so without this
        // kill `end_processes` would wait for it for `PARENT_TIMEOUT`.
        if let Some(pasta) = &self.pasta {
            pasta.kill();
        }
        end_processes(&self.launcher, self.namespaces.as_ref()).await
    }
}

fn running(launcher: &ProcessLauncher, namespaces: Option<&Namespaces>) -> io::Result<Vec<i32>> {
    if let Some(cgroup) = &launcher.cgroup {
        return cgroup.pids();
    }
    if let Some(namespaces) = namespaces
        && let Some(found) = namespaces.descendants(&launcher.directory)?
    {
        return Ok(found);
    }
    let mut processes = processes::find_by_marks(&launcher.directory)?;
    if let Some(namespaces) = namespaces {
        processes.extend(namespaces.processes()?);
        processes.sort_unstable();
        processes.dedup();
    }
    Ok(processes)
}

async fn end_processes(
    launcher: &ProcessLauncher,
    namespaces: Option<&Namespaces>,
) -> io::Result<()> {
    if let Some(cgroup) = &launcher.cgroup {
        return cgroup.kill().await;
    }
    let started = Instant::now();
    loop {
        let alive = running(launcher, namespaces)?;
        // The first process of a namespace, once killed, only waits until the machine's first
        // process has waited for processes whose parents outside were killed.
        let is_waiting = |namespaces: &Namespaces| {
            started.elapsed() > PARENT_TIMEOUT && alive == [namespaces.first]
        };
        if alive.is_empty() || namespaces.is_some_and(is_waiting) {
            return Ok(());
        }
        if started.elapsed() >= KILL_TIMEOUT {
            return Err(timed_out(alive.len(), Signal::KILL));
        }
        let (killed, waiting) = match namespaces {
            // The kernel ends a process namespace with its first process, once the parents of its
            // other processes have waited for them. Some parents are outside; if they were killed,
            // the machine's first process would have to wait instead, and may do so late or never.
            Some(namespaces) if started.elapsed() < PARENT_TIMEOUT => namespaces.split(&alive)?,
            _ => (alive, Vec::new()),
        };
        processes::signal(&killed, Signal::KILL);
        // The waiting processes are stopped if the sandbox is paused.
        processes::signal(&waiting, Signal::CONT);
        tokio::time::sleep(SETTLE_INTERVAL).await;
    }
}

fn timed_out(count: usize, signal: Signal) -> io::Error {
    let message = format!("{count} processes did not react to {signal:?}");
    io::Error::new(io::ErrorKind::TimedOut, message)
}

/// Stops every process, until no new one is found: a process may fork in between.
async fn stop_processes(
    launcher: &ProcessLauncher,
    namespaces: Option<&Namespaces>,
) -> io::Result<()> {
    let deadline = Instant::now() + KILL_TIMEOUT;
    let mut stopped = Vec::new();
    loop {
        let mut alive = running(launcher, namespaces)?;
        alive.sort_unstable();
        if alive == stopped {
            return Ok(());
        }
        if Instant::now() >= deadline {
            return Err(timed_out(alive.len(), Signal::STOP));
        }
        processes::signal(&alive, Signal::STOP);
        stopped = alive;
        tokio::time::sleep(SETTLE_INTERVAL).await;
    }
}
