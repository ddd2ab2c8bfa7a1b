//! What keeps a sandbox to itself: two implementations behind one small interface.
//!
//! [`Isolation`] says how a sandbox starts and how a command gets into it. What both share (the
//! directory, the process groups, the cgroup, freezing and killing) is [`Enclosure`].

mod bubblewrap;
mod cgroup;
mod enclosure;
mod limits;
mod process_group;
mod processors;
mod spawning;
mod stand_ins;
mod strays;
mod watchdog;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::Stdio;
use std::sync::Arc;

pub(crate) use bubblewrap::Bubblewrap;
pub(crate) use cgroup::{CgroupParent, Controllers};
pub(crate) use enclosure::Enclosure;
pub use limits::UnenforcedLimit;
pub(crate) use limits::{Limits, Substitutes, unenforced};
pub(crate) use process_group::ProcessGroup;
pub(crate) use spawning::{settle, spawn};
pub(crate) use stand_ins::StandIns;
pub(crate) use strays::{sweep, sweep_all};
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

/// Where a sandbox keeps its own version of the places of [`WRITABLE_SYSTEM`].
pub(crate) const OWN_SYSTEM: &str = ".ppio/system";

/// The places of the otherwise read-only system that a sandbox may write to: the PPIO SDK turns the
/// variables of a template into files there.
pub(crate) const WRITABLE_SYSTEM: &[(&str, SystemPlace)] = &[
    ("etc/profile.d", SystemPlace::Directory),
    ("etc/environment", SystemPlace::File),
    ("var/tmp", SystemPlace::Directory),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SystemPlace {
    Directory,
    File,
}

/// A command to run in a sandbox, in the sandbox's terms.
#[derive(Debug, Clone, Default)]
pub(crate) struct Run {
    pub(crate) program: String,
    pub(crate) arguments: Vec<String>,
    pub(crate) environment: BTreeMap<String, String>,
    /// Absolute, as the sandbox sees it.
    pub(crate) directory: String,
}

/// The same command in this machine's terms.
#[derive(Debug)]
pub(crate) struct Launch {
    pub(crate) arguments: Vec<OsString>,
    pub(crate) environment: BTreeMap<String, String>,
    pub(crate) directory: PathBuf,
}

/// The first process of a sandbox, for isolations that need one to hold their namespaces.
#[derive(Debug)]
pub(crate) struct Init {
    /// Its process id on this machine.
    pub(crate) pid: i32,
}

pub(crate) type InitFuture<'a> =
    Pin<Box<dyn Future<Output = io::Result<Option<(Init, tokio::process::Child)>>> + Send + 'a>>;

/// How a sandbox starts, and how a command gets into it.
pub(crate) trait Isolation: fmt::Debug + Send + Sync {
    fn kind(&self) -> IsolationKind;

    /// The limits that hold where no cgroup enforces them.
    fn substitutes(&self) -> Substitutes {
        Substitutes {
            processors: which::which("taskset").is_ok(),
            processes: false,
        }
    }

    /// Starts the process that holds the sandbox's namespaces, where there is one.
    fn start<'a>(&'a self, enclosure: &'a enclosure::Place) -> InitFuture<'a>;

    /// Translates a command for this machine.
    fn launch(&self, root: &Path, init: Option<&Init>, run: &Run) -> Launch;
}

/// Chooses the isolation: the one asked for, which then must work, or the best one that works.
pub(crate) async fn choose(
    wanted: Option<IsolationKind>,
    exposed: &[PathBuf],
    home: &crate::home::Home,
    stand_ins: &StandIns,
    cgroup: Option<&CgroupParent>,
) -> Result<Arc<dyn Isolation>, Error> {
    let process_group = || Arc::new(ProcessGroup::new(exposed, stand_ins.clone()));
    if wanted == Some(IsolationKind::ProcessGroup) {
        return Ok(process_group());
    }
    let trial = match Bubblewrap::new(exposed, home.path(), stand_ins.clone()) {
        Ok(bubblewrap) => {
            let bubblewrap: Arc<dyn Isolation> = Arc::new(bubblewrap);
            try_out(Arc::clone(&bubblewrap), &home.run(), cgroup)
                .await
                .map(|()| bubblewrap)
        }
        Err(reason) => Err(reason),
    };
    match (trial, wanted) {
        (Ok(bubblewrap), _) => Ok(bubblewrap),
        (Err(reason), Some(kind)) => Err(Error::Isolation { kind, reason }),
        (Err(reason), None) => {
            tracing::warn!(%reason, "bubblewrap does not work here, sandboxes are plain process groups");
            Ok(process_group())
        }
    }
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

/// Runs one command in a throw-away sandbox: being installed does not mean being allowed.
async fn try_out(
    isolation: Arc<dyn Isolation>,
    run_directory: &Path,
    cgroup: Option<&CgroupParent>,
) -> Result<(), String> {
    let directory = run_directory.join("trial");
    std::fs::create_dir_all(directory.join("root"))
        .and_then(|()| crate::sandbox::prepare_root(&directory.join("root")))
        .map_err(|error| error.to_string())?;
    let outcome = async {
        let enclosure =
            Enclosure::open(isolation, directory.clone(), cgroup, Limits::default()).await?;
        let run = Run {
            program: "true".into(),
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
        output
    }
    .await;
    let _ = std::fs::remove_dir_all(&directory);
    match outcome {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Err(error) => Err(error.to_string()),
    }
}
