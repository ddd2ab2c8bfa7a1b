//! What keeps a sandbox to itself: two implementations behind one small interface.
//!
//! [`Isolation`] says how a sandbox starts and how a command gets into it. What both share (the
//! directory, the process groups, the cgroup, freezing and killing) is [`Enclosure`].

mod bubblewrap;
mod cgroup;
mod enclosure;
mod handover;
mod limits;
mod process_group;
mod processors;
mod programs;
mod spawning;
mod stand_ins;
mod strays;
mod system_files;
mod users;
mod watchdog;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::Stdio;
use std::sync::Arc;

use bubblewrap::Namespace;
pub(crate) use bubblewrap::{Bubblewrap, INNER_USER};
pub(crate) use cgroup::{CgroupParent, Controllers};
pub(crate) use enclosure::Enclosure;
pub use limits::UnenforcedLimit;
pub(crate) use limits::{Limits, Substitutes, unenforced};
pub(crate) use process_group::ProcessGroup;
pub(crate) use programs::Programs;
pub(crate) use spawning::{input_pipe, output_pipe, settle, spawn};
pub(crate) use stand_ins::{STAND_IN_FILES, STAND_INS};
pub(crate) use strays::{remove_runs, sweep, sweep_all};
pub(crate) use users::{SandboxUser, Users};
pub(crate) use watchdog::Watchdog;

use crate::Error;

/// How sandboxes are kept apart from each other and from the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum IsolationKind {
    /// Own process and mount namespaces through `bwrap`: the host's system is read-only, home
    /// directories and other files are hidden, processes gain no privileges.
    Bubblewrap,
    /// A process group of the platform's user. It separates processes for pausing and killing, and
    /// **hides nothing**: run only code that you trust.
    ///
    /// Pausing and killing find every process that a sandbox started, also one that left its
    /// process group, session and parent and cleared its environment. Without cgroups only one
    /// that in addition sets its own limit of file locks (`RLIMIT_LOCKS`), which nothing does by
    /// accident, outlives its sandbox.
    ProcessGroup,
}

impl fmt::Display for IsolationKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Bubblewrap => "bubblewrap",
            Self::ProcessGroup => "process group",
        })
    }
}

/// Where a sandbox finds its programs, unless its template or creator says otherwise.
pub(crate) const DEFAULT_PATH: &str =
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Where a sandbox keeps its own files of the otherwise read-only system: its accounts, and what the
/// PPIO SDK makes of the variables of a template.
pub(crate) const OWN_SYSTEM: &str = ".ppio/system";

/// A command to run in a sandbox, in the sandbox's terms.
#[derive(Debug, Clone, Default)]
pub(crate) struct Run {
    pub(crate) program: String,
    pub(crate) arguments: Vec<String>,
    pub(crate) environment: BTreeMap<String, String>,
    /// Absolute, as the sandbox sees it.
    pub(crate) directory: String,
    /// Whether its standard input is a terminal, which it is to control.
    pub(crate) terminal: bool,
}

/// The same command in this machine's terms.
#[derive(Debug)]
pub(crate) struct Launch {
    /// The programs on the way in, with their arguments. Nothing in them is the caller's.
    pub(crate) entering: Vec<OsString>,
    /// Whether they lead into a process namespace.
    pub(crate) enters_namespaces: bool,
    /// The program and its arguments.
    pub(crate) program: Vec<OsString>,
    /// Every variable of the program.
    pub(crate) variables: BTreeMap<String, String>,
    /// Where it starts.
    pub(crate) directory: PathBuf,
}

/// What holds a sandbox's namespaces, for isolations that have them.
#[derive(Debug)]
pub(crate) struct Init {
    /// The process in the sandbox that others join, as an ordinary user's `nsenter` names it.
    joined: i32,
    /// The user namespace that the others belong to.
    user: Namespace,
    mount: Namespace,
    pid: Namespace,
    ipc: Namespace,
    uts: Namespace,
}

impl Init {
    /// The processes in its process namespace. The namespace is held open: no other has its name.
    fn processes(&self) -> io::Result<Vec<i32>> {
        strays::in_namespace(&self.pid.name()?)
    }
}

pub(crate) type InitFuture<'a> =
    Pin<Box<dyn Future<Output = io::Result<Option<(Init, tokio::process::Child)>>> + Send + 'a>>;

/// How a sandbox starts, and how a command gets into it.
pub(crate) trait Isolation: fmt::Debug + Send + Sync {
    fn kind(&self) -> IsolationKind;

    /// The programs that every start goes through.
    fn programs(&self) -> &Programs;

    /// Whether the kernel counts the processes of a sandbox with this user by themselves.
    fn counts_processes(&self, user: &SandboxUser) -> bool;

    /// Starts the process that holds the sandbox's namespaces, where there is one.
    fn start<'a>(&'a self, place: &'a enclosure::Place) -> InitFuture<'a>;

    /// Translates a command for this machine.
    fn launch(&self, place: &enclosure::Place, init: Option<&Init>, run: &Run) -> Launch;
}

/// An isolation that ran a trial sandbox.
#[derive(Debug)]
pub(crate) struct Chosen {
    pub(crate) isolation: Arc<dyn Isolation>,
    pub(crate) substitutes: Substitutes,
}

/// Chooses the isolation: the one asked for, or the best one that works. Either must run a trial
/// sandbox.
pub(crate) async fn choose(
    wanted: Option<IsolationKind>,
    exposed: &[PathBuf],
    home: &crate::home::Home,
    users: &Users,
    cgroup: Option<&CgroupParent>,
) -> Result<Chosen, Error> {
    let failed = |kind| move |reason| Error::Isolation { kind, reason };
    let kind = wanted.unwrap_or(IsolationKind::ProcessGroup);
    let programs = Programs::find().map_err(failed(kind))?;
    let try_out = |isolation: Arc<dyn Isolation>| {
        let user = users.take().map_err(|error| error.to_string());
        async move { try_out(isolation, &home.run(), cgroup, user?).await }
    };
    if wanted != Some(IsolationKind::ProcessGroup) {
        let trial = match Bubblewrap::new(exposed, home, programs.clone()) {
            Ok(bubblewrap) => try_out(Arc::new(bubblewrap)).await,
            Err(reason) => Err(reason),
        };
        match (trial, wanted) {
            (Ok(chosen), _) => return Ok(chosen),
            (Err(reason), Some(kind)) => return Err(failed(kind)(reason)),
            (Err(reason), None) => {
                tracing::warn!(%reason, "bubblewrap does not work here, sandboxes are plain process groups");
            }
        }
    }
    try_out(Arc::new(ProcessGroup::new(exposed, programs)))
        .await
        .map_err(failed(IsolationKind::ProcessGroup))
}

/// The PATH of a sandbox: stand-ins first, then what was exposed to it, then the rest.
fn search_path(stand_ins: &Path, exposed: &[PathBuf], rest: &str) -> String {
    let mut path = stand_ins.display().to_string();
    for programs in exposed.iter().map(|path| path.join("bin")) {
        if programs.is_dir() {
            path = format!("{path}:{}", programs.display());
        }
    }
    format!("{path}:{rest}")
}

/// Runs one command in a throw-away sandbox: being installed does not mean being allowed. What it
/// prints tells which limits hold.
async fn try_out(
    isolation: Arc<dyn Isolation>,
    run_directory: &Path,
    cgroup: Option<&CgroupParent>,
    user: SandboxUser,
) -> Result<Chosen, String> {
    let directory = run_directory.join("trial");
    let outcome = async {
        prepare_directory(&directory, &user)?;
        crate::sandbox::prepare_root(&directory.join("root"), user.owner())?;
        let has_taskset = isolation.programs().taskset.is_some();
        let counts = isolation.counts_processes(&user);
        let enclosure = Enclosure::open(
            Arc::clone(&isolation),
            directory.clone(),
            cgroup,
            Limits::default(),
            user,
        )
        .await?;
        let run = Run {
            program: "/bin/cat".into(),
            arguments: vec!["/proc/self/limits".into()],
            directory: "/".into(),
            ..Run::default()
        };
        let mut command = enclosure.command(&run);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let output = match spawn(&mut command) {
            Ok(child) => child.wait_with_output().await,
            Err(error) => Err(error),
        };
        enclosure.kill().await?;
        let output = output?;
        if !output.status.success() {
            let complaint = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Err(io::Error::other(complaint));
        }
        let limits = String::from_utf8_lossy(&output.stdout).into_owned();
        Ok(Substitutes {
            processors: has_taskset,
            processes: counts && limits::bounds_processes(&limits),
        })
    }
    .await;
    let _ = std::fs::remove_dir_all(&directory);
    let substitutes = outcome.map_err(|error| error.to_string())?;
    Ok(Chosen {
        isolation,
        substitutes,
    })
}

/// Makes the directory of a sandbox with its `root`. Of the machine's users only the sandbox's can
/// enter it, and only to go on to `root`.
pub(crate) fn prepare_directory(directory: &Path, user: &SandboxUser) -> io::Result<()> {
    std::fs::DirBuilder::new().mode(0o700).create(directory)?;
    let root = directory.join("root");
    std::fs::create_dir(&root)?;
    user.owner().give_path(&root)?;
    if let Some(group) = user.id() {
        std::os::unix::fs::chown(directory, None, Some(group))?;
        std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o710))?;
    }
    Ok(())
}
