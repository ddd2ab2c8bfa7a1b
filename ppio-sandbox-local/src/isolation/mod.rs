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
pub(crate) use strays::{remove_runs, remove_tree, sweep, sweep_all};
pub(crate) use users::{SandboxUser, Users};
pub(crate) use watchdog::Watchdog;

use crate::Error;

/// How sandboxes are kept apart from each other and from the machine.
///
/// With either, a process of a sandbox has a session of its own, no open file of the platform's but
/// its standard streams, no capability, and gains none (`no_new_privs`). A platform that runs as
/// root gives each sandbox a user of its own; no process of a sandbox is root.
///
/// **The network is the machine's**: agents reach what the machine reaches, servers on its loopback
/// address and abstract Unix sockets included, and sandboxes share its ports.
///
/// Which limits hold depends on the machine: see
/// [`LocalPlatform::unenforced_limits`](crate::LocalPlatform::unenforced_limits).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum IsolationKind {
    /// Own process and mount namespaces through `bwrap`.
    ///
    /// A sandbox sees its own files, the machine's programs (`/usr` and what `/bin` and the like
    /// are, read-only), a copy of those files of `/etc` that programs need, and what
    /// [`expose`](crate::LocalPlatformBuilder::expose) adds. Home directories, `/var`, `/opt`,
    /// `/run`, `/sys` and the processes of others are not there; settings of the kernel are
    /// read-only. The kernel itself is shared.
    Bubblewrap,
    /// A process group. It separates processes for pausing and killing, and **hides nothing** that
    /// its user can read: run only code that you trust.
    ///
    /// The user is the platform's, which can do whatever the platform can. Where the platform runs
    /// as root it is one without rights, which reads what every user of the machine can read:
    /// neither the platform's key nor another sandbox's files, and no interpreter below `/root`
    /// either. The directories of these sandboxes are in `/var/lib/ppio-sandbox-local`.
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
    /// The first process of the process namespace, as this machine numbers it.
    first: i32,
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
    if users.are_own() {
        for path in exposed.iter().filter(|path| !every_user_passes(path)) {
            tracing::warn!(
                "sandboxes cannot use {}: they run as users of their own, which cannot pass a \
                 directory on the way; put it elsewhere, or run the platform as an ordinary user",
                path.display()
            );
        }
    }
    try_out(Arc::new(ProcessGroup::new(exposed, programs)))
        .await
        .map_err(failed(IsolationKind::ProcessGroup))
}

/// Whether users without rights can go to `path`.
pub(crate) fn every_user_passes(path: &Path) -> bool {
    let passes = |place: &Path| {
        std::fs::metadata(place).is_ok_and(|found| found.permissions().mode() & 0o001 != 0)
    };
    // A file that is only read need not be a program.
    let on_the_way = |path: PathBuf| {
        let skipped = usize::from(path.is_file());
        path.ancestors().skip(skipped).all(passes)
    };
    path.canonicalize().is_ok_and(on_the_way)
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
