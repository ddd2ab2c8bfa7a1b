//! Sandboxes in namespaces of their own, through `bwrap` and `nsenter`.
//!
//! A sandbox can replace any file that it sees, the links to the machine's `/bin` and to the loader
//! in `/lib64` included. So all rights that a sandbox must not have are dropped before the first
//! `exec` inside:
//!
//! - As root, `bwrap` mounts without a user namespace, and `nsenter` becomes the sandbox's user
//!   between entering the namespaces and its `exec`.
//! - As an ordinary user, `bwrap` mounts in a user namespace (*outer*), whose root is that user.
//!   The processes of the sandbox run in a user namespace below it (*inner*), as user 1000. Two
//!   `nsenter` processes each enter one of these two namespaces. The second enters the sandbox's
//!   mount namespace only after the inner user namespace, and loses its rights by an `exec` as a
//!   user that is not root.

mod arguments;
mod mount_points;
mod start_command;

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};

use self::arguments::ProgramArguments;
use super::connector::NetworkConnector;
use super::interface::{HostCommand, Isolation, SandboxCommand, StartFuture, StartedNamespaces};
use super::kind::IsolationKind;
use super::launcher::ProcessLauncher;
use super::namespaces::Namespaces;
use super::network::SandboxNetwork;
use super::pasta::{self, PastaProcess};
use super::search_path::{DEFAULT_PATH, search_path};
use super::shims::SHIMS_DIRECTORY;
use super::system_files::SystemFiles;
use super::users::SandboxUser;
use crate::identity;
use crate::processes::{self, SystemPrograms};

/// The file with the id of the sandbox's start, in the sandbox's directory.
const BOOT_ID_FILE: &str = "boot_id";
/// The `resolv.conf` of a sandbox whose network `pasta` connects, in the sandbox's directory.
const RESOLV_CONF_FILE: &str = "resolv.conf";
const BWRAP_START_TIMEOUT: Duration = Duration::from_secs(10);
/// The first Linux version that counts processes per user namespace.
const COUNTS_BY_NAMESPACE: (u32, u32) = (5, 14);

/// Directories of the platform that an isolation uses.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Directories<'a> {
    /// The platform's home, which no sandbox sees.
    pub(crate) home: &'a Path,
    /// The directory of this platform's sandboxes.
    pub(crate) run: &'a Path,
    /// The directory of the copies of `/etc`.
    pub(crate) system_files: &'a Path,
}

#[derive(Debug)]
pub(crate) struct BubblewrapIsolation {
    programs: SystemPrograms,
    bwrap: PathBuf,
    nsenter: PathBuf,
    unshare: PathBuf,
    /// The program that connects to sandboxes with a network of their own, or why it was not found.
    bash: Result<PathBuf, String>,
    /// The program that connects sandboxes with a network of their own to other machines, or why it
    /// was not found.
    pasta: Result<PathBuf, String>,
    exposed: Vec<PathBuf>,
    home: PathBuf,
    system_files: SystemFiles,
    /// The arguments of `bwrap` that mount what every sandbox sees.
    mounts: Vec<OsString>,
    /// Whether this `bwrap` can limit the size of file systems in memory.
    sizes: bool,
}

impl BubblewrapIsolation {
    /// Finds the programs that the isolation needs, and copies files of `/etc`. The error names
    /// what is missing or what failed.
    pub(crate) fn new(
        exposed: &[PathBuf],
        directories: &Directories<'_>,
        programs: SystemPrograms,
    ) -> Result<Self, String> {
        let bwrap = processes::find_program("bwrap")?;
        let help = std::process::Command::new(&bwrap)
            .arg("--help")
            .env_clear()
            .output()
            .map_err(|error| format!("{} does not run: {error}", bwrap.display()))?;
        let help = String::from_utf8_lossy(&help.stdout).into_owned();
        let system_files = SystemFiles::write(directories.system_files.to_owned(), exposed)
            .map_err(|error| format!("failed to copy files of /etc: {error}"))?;
        let mut bubblewrap = Self {
            programs,
            bwrap,
            nsenter: processes::find_program("nsenter")?,
            unshare: processes::find_program("unshare")?,
            bash: processes::find_program("bash"),
            pasta: processes::find_program("pasta"),
            exposed: exposed.to_vec(),
            home: directories.home.to_owned(),
            system_files,
            mounts: Vec::new(),
            sizes: ["--size ", "--perms "]
                .iter()
                .all(|option| help.contains(option)),
        };
        bubblewrap.mounts = bubblewrap.mounts();
        Ok(bubblewrap)
    }

    /// Starts the connector of a network namespace.
    async fn connector(
        &self,
        launcher: &ProcessLauncher,
        namespaces: &Namespaces,
    ) -> io::Result<Option<NetworkConnector>> {
        let Some(network) = &namespaces.network else {
            return Ok(None);
        };
        let bash = self.bash.as_ref();
        let bash = bash.map_err(|reason| io::Error::other(reason.clone()))?;
        let mut entering = ProgramArguments::default();
        entering.add(&[&self.nsenter]);
        if launcher.user().is_none() {
            // This user namespace owns the network namespace.
            let user = namespaces.user.path();
            entering.add(&[
                format!("--user={user}"),
                "--preserve-credentials".to_owned(),
            ]);
        }
        entering.add(&[format!("--net={}", network.path()), "--".to_owned()]);
        NetworkConnector::start(entering.0, bash).await.map(Some)
    }

    /// Starts the `pasta` that connects a network namespace to other machines.
    async fn pasta(
        &self,
        launcher: &ProcessLauncher,
        namespaces: &Namespaces,
    ) -> io::Result<Option<PastaProcess>> {
        let network = namespaces.network.as_ref();
        let Some(network) = network.filter(|_| launcher.network == SandboxNetwork::Pasta) else {
            return Ok(None);
        };
        let pasta = self.pasta.as_ref();
        let pasta = pasta.map_err(|reason| io::Error::other(reason.clone()))?;
        PastaProcess::start(pasta, launcher, namespaces, network)
            .await
            .map(Some)
    }
}

impl Isolation for BubblewrapIsolation {
    fn kind(&self) -> IsolationKind {
        IsolationKind::Bubblewrap
    }

    fn programs(&self) -> &SystemPrograms {
        &self.programs
    }

    fn counts_processes(&self, user: &SandboxUser) -> bool {
        user.id().is_some() || kernel() >= COUNTS_BY_NAMESPACE
    }

    fn start<'a>(&'a self, launcher: &'a ProcessLauncher) -> StartFuture<'a> {
        Box::pin(async move {
            self.system_files.refresh();
            self.prepare(&launcher.root(), launcher.owner())?;
            let boot_id = launcher.directory.join(BOOT_ID_FILE);
            fs::write(boot_id, format!("{}\n", identity::build_id()))?;
            if launcher.network == SandboxNetwork::Pasta {
                pasta::write_resolv_conf(&launcher.directory.join(RESOLV_CONF_FILE))?;
            }
            let mut command = launcher.command(self.arguments(launcher), false);
            command
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped());
            let mut child = processes::spawn(&mut command)?;
            let started = async {
                let first = read_pid(&mut child).await?;
                let joined = match launcher.user() {
                    Some(_) => first,
                    None => *processes::children_of(first)?
                        .first()
                        .ok_or_else(|| io::Error::other("the sandbox's first process has ended"))?,
                };
                let namespaces = Namespaces::open(first, joined, launcher.network)?;
                let (connector, pasta) = tokio::try_join!(
                    self.connector(launcher, &namespaces),
                    self.pasta(launcher, &namespaces)
                )?;
                Ok((namespaces, connector, pasta))
            };
            match tokio::time::timeout(BWRAP_START_TIMEOUT, started).await {
                Ok(Ok((namespaces, connector, pasta))) => Ok(Some(StartedNamespaces {
                    namespaces,
                    first_process: child,
                    connector,
                    pasta,
                })),
                Ok(Err(error)) => Err(error),
                Err(_) => Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    "the namespaces of the sandbox were not set up in time",
                )),
            }
        })
    }

    fn host_command(
        &self,
        launcher: &ProcessLauncher,
        namespaces: Option<&Namespaces>,
        run: &SandboxCommand,
    ) -> HostCommand {
        let mut entering = ProgramArguments::default();
        if let Some(namespaces) = namespaces {
            processes::push_program(&mut entering.0, &self.programs.setpriv, ["--no-new-privs"]);
            entering.add(&["--inh-caps=-all", "--ambient-caps=-all", "--"]);
            entering.add(&[&self.nsenter]);
            if let Some(user) = launcher.user() {
                // The namespaces are given as open files, because a pid may be reused once its
                // process is gone.
                entering.add(&[
                    format!("--mount={}", namespaces.mount.path()),
                    format!("--pid={}", namespaces.pid.path()),
                    format!("--ipc={}", namespaces.ipc.path()),
                    format!("--uts={}", namespaces.uts.path()),
                ]);
                if let Some(network) = &namespaces.network {
                    entering.add(&[format!("--net={}", network.path())]);
                }
                entering.add(&[
                    format!("--setuid={user}"),
                    format!("--setgid={user}"),
                    "--".to_owned(),
                ]);
            } else {
                entering.add(&[
                    format!("--user={}", namespaces.user.path()),
                    "--preserve-credentials".to_owned(),
                    "--".to_owned(),
                ]);
                entering.add(&[&self.nsenter]);
                // The namespaces are given by pid: in the outer namespace no file of the platform
                // can be opened. If the pid was reused, the namespaces of the process that now has
                // the pid cannot be entered from the outer namespace.
                entering.add(&["--user", "--preserve-credentials"]);
                entering.add(&["--mount", "--pid", "--ipc", "--uts"]);
                entering.add(namespaces.network.as_ref().map_or(&[][..], |_| &["--net"]));
                entering.add(&["--target"]);
                entering.add(&[namespaces.joined.to_string(), "--".to_owned()]);
            }
        }
        let mut variables = run.environment.clone();
        let own = variables.get("PATH").map_or(DEFAULT_PATH, String::as_str);
        let path = search_path(Path::new(SHIMS_DIRECTORY), &self.exposed, own);
        variables.insert("PATH".into(), path);
        let program = std::iter::once(&run.program).chain(&run.arguments);
        HostCommand {
            entering: entering.0,
            enters_namespaces: true,
            program: program.map(OsString::from).collect(),
            variables,
            directory: PathBuf::from(&run.directory),
        }
    }
}

/// Returns the version of the running Linux.
fn kernel() -> (u32, u32) {
    let release = rustix::system::uname()
        .release()
        .to_string_lossy()
        .into_owned();
    let mut numbers = release
        .split(|character: char| !character.is_ascii_digit())
        .map(|number| number.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// Reads the process id of a sandbox's first process, and waits until its namespaces are set up.
async fn read_pid(child: &mut tokio::process::Child) -> io::Result<i32> {
    let missing = || io::Error::other("bwrap has no standard output");
    let mut stdout = child.stdout.take().ok_or_else(missing)?;
    let mut info = String::new();
    stdout.read_to_string(&mut info).await?;
    let stderr = child.stderr.take().ok_or_else(missing)?;
    let mut lines = BufReader::new(stderr).lines();
    let mut complaint = String::new();
    while let Some(line) = lines.next_line().await? {
        if line == "ready" {
            let info: serde_json::Value = serde_json::from_str(&info)?;
            let pid = info["child-pid"]
                .as_i64()
                .and_then(|pid| pid.try_into().ok());
            return pid.ok_or_else(|| {
                io::Error::other("bwrap did not print the process id of the sandbox")
            });
        }
        complaint.push_str(&line);
        complaint.push('\n');
    }
    Err(io::Error::other(format!(
        "bwrap failed: {}",
        complaint.trim()
    )))
}
