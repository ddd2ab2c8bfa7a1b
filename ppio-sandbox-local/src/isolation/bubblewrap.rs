//! Sandboxes in namespaces of their own, through `bwrap` and `nsenter`.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};

use super::enclosure::Place;
use super::{
    DEFAULT_PATH, Init, InitFuture, Isolation, IsolationKind, Launch, OWN_SYSTEM, Run, StandIns,
    WRITABLE_SYSTEM, spawn,
};

/// The parts of the host's system that a sandbox sees, read-only. Everything else is hidden.
const SYSTEM: &[&str] = &[
    "bin", "sbin", "usr", "lib", "lib32", "lib64", "libx32", "etc", "opt", "var", "nix",
];
/// Where the stand-ins appear in a sandbox.
const STAND_INS: &str = "/.ppio/bin";
/// Says so when the namespaces stand, then lives until the platform lets go of the pipe.
const INIT: &str = "echo ready; read -r _";
/// Changes directory inside the sandbox, where the directory exists.
const CHANGE_DIRECTORY: &str = r#"cd "$1" || exit 1; shift; exec "$@""#;
const START_DEADLINE: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(crate) struct Bubblewrap {
    bwrap: PathBuf,
    nsenter: PathBuf,
    setpriv: PathBuf,
    exposed: Vec<PathBuf>,
    home: PathBuf,
    stand_ins: StandIns,
}

impl Bubblewrap {
    /// Finds the programs it needs, or says which one is missing.
    pub(crate) fn new(
        exposed: &[PathBuf],
        home: &Path,
        stand_ins: StandIns,
    ) -> Result<Self, String> {
        let find = |name: &str| which::which(name).map_err(|_| format!("{name} is not installed"));
        Ok(Self {
            bwrap: find("bwrap")?,
            nsenter: find("nsenter")?,
            setpriv: find("setpriv")?,
            exposed: exposed.to_vec(),
            home: home.to_path_buf(),
            stand_ins,
        })
    }

    fn arguments(&self, root: &Path) -> Vec<OsString> {
        let mut arguments = Arguments::default();
        arguments.add(&[
            "--unshare-pid",
            "--unshare-ipc",
            "--unshare-uts",
            "--hostname",
            "sandbox",
        ]);
        arguments.add(&["--cap-drop", "ALL", "--new-session"]);
        arguments.mount("--bind", root, Path::new("/"));
        for name in SYSTEM {
            let path = Path::new("/").join(name);
            match fs::symlink_metadata(&path) {
                Ok(metadata) if metadata.file_type().is_symlink() => {
                    if let Ok(target) = fs::read_link(&path) {
                        // A second sandbox start in the same directory finds the link in place.
                        if !root.join(name).is_symlink() {
                            arguments.mount("--symlink", &target, &path);
                        }
                    }
                }
                Ok(_) => arguments.mount("--ro-bind", &path, &path),
                Err(_) => {}
            }
        }
        // Name resolution where /etc/resolv.conf points into /run.
        arguments.mount(
            "--ro-bind-try",
            Path::new("/run/systemd/resolve"),
            Path::new("/run/systemd/resolve"),
        );
        arguments.add(&["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/dev/shm"]);
        if self.home.starts_with("/var")
            || self.home.starts_with("/opt")
            || self.home.starts_with("/usr")
        {
            arguments.add(&["--tmpfs".as_ref(), self.home.as_os_str()]);
        }
        arguments.mount(
            "--ro-bind",
            self.stand_ins.directory(),
            Path::new(STAND_INS),
        );
        if Path::new("/etc/profile").exists() {
            arguments.mount(
                "--ro-bind",
                &self.stand_ins.profile(),
                Path::new("/etc/profile"),
            );
        }
        for (place, _) in WRITABLE_SYSTEM {
            let target = Path::new("/").join(place);
            // The read-only system has no room for places that it lacks.
            if target.exists() {
                arguments.mount("--bind", &root.join(OWN_SYSTEM).join(place), &target);
            }
        }
        for path in &self.exposed {
            arguments.mount("--ro-bind", path, path);
        }
        arguments.0
    }
}

#[derive(Default)]
struct Arguments(Vec<OsString>);

impl Arguments {
    fn add<S: AsRef<std::ffi::OsStr>>(&mut self, arguments: &[S]) {
        self.0.extend(
            arguments
                .iter()
                .map(|argument| argument.as_ref().to_owned()),
        );
    }

    fn mount(&mut self, how: &str, from: &Path, to: &Path) {
        self.add(&[how.as_ref(), from.as_os_str(), to.as_os_str()]);
    }
}

impl Isolation for Bubblewrap {
    fn kind(&self) -> IsolationKind {
        IsolationKind::Bubblewrap
    }

    fn start<'a>(&'a self, place: &'a Place) -> InitFuture<'a> {
        Box::pin(async move {
            let root = place.root();
            // The first line of standard output tells the process id (descriptor 3 is given to
            // bwrap for that), a later one that the namespaces stand.
            let mut arguments: Vec<OsString> = ["/bin/sh", "-c", r#"exec "$@" 3>&1"#, "sh"]
                .iter()
                .map(OsString::from)
                .collect();
            arguments.push(self.bwrap.clone().into());
            arguments.extend(["--info-fd", "3"].map(OsString::from));
            arguments.extend(self.arguments(&root));
            arguments.extend(["--", "/bin/sh", "-c", INIT].map(OsString::from));
            let mut command = place.command(arguments);
            command
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped());
            let mut child = spawn(&mut command)?;
            match tokio::time::timeout(START_DEADLINE, read_pid(&mut child)).await {
                Ok(Ok(pid)) => Ok(Some((Init { pid }, child))),
                Ok(Err(error)) => Err(error),
                Err(_) => Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    "bwrap did not start in time",
                )),
            }
        })
    }

    fn launch(&self, _root: &Path, init: Option<&Init>, run: &Run) -> Launch {
        let mut arguments = Arguments::default();
        let pid = init.map_or_else(String::new, |init| init.pid.to_string());
        arguments.add(&[self.nsenter.as_os_str()]);
        if in_other_user_namespace(&pid) {
            arguments.add(&["--user", "--preserve-credentials"]);
        }
        arguments.add(&["--mount", "--pid", "--ipc", "--uts", "--target", &pid, "--"]);
        arguments.add(&[self.setpriv.as_os_str()]);
        arguments.add(&[
            "--no-new-privs",
            "--inh-caps=-all",
            "--ambient-caps=-all",
            "--bounding-set=-all",
            "--",
        ]);
        arguments.add(&[
            "/bin/sh",
            "-c",
            CHANGE_DIRECTORY,
            "sh",
            &run.directory,
            &run.program,
        ]);
        arguments.add(&run.arguments);
        let mut environment: BTreeMap<String, String> = run.environment.clone();
        let own = environment.get("PATH").map_or(DEFAULT_PATH, String::as_str);
        let path = super::search_path(Path::new(STAND_INS), &self.exposed, own);
        environment.insert("PATH".into(), path);
        Launch {
            arguments: arguments.0,
            environment,
            directory: PathBuf::from("/"),
        }
    }
}

/// Without privileges bwrap makes a user namespace too, and entering the others needs it.
fn in_other_user_namespace(pid: &str) -> bool {
    let namespace = |process: &str| fs::read_link(format!("/proc/{process}/ns/user")).ok();
    namespace(pid) != namespace("self")
}

async fn read_pid(child: &mut tokio::process::Child) -> io::Result<i32> {
    let stdout = child
        .stdout
        .take()
        .ok_or_else(|| io::Error::other("bwrap has no standard output"))?;
    let mut lines = BufReader::new(stdout).lines();
    let mut pid = None;
    while let Some(line) = lines.next_line().await? {
        if let Some(rest) = line.trim().strip_prefix("\"child-pid\":") {
            pid = rest.trim().trim_end_matches(',').parse().ok();
        }
        if line == "ready" {
            return pid.ok_or_else(|| io::Error::other("bwrap did not tell its process id"));
        }
    }
    let mut complaint = String::new();
    if let Some(stderr) = &mut child.stderr {
        stderr.read_to_string(&mut complaint).await?;
    }
    Err(io::Error::other(format!(
        "bwrap failed: {}",
        complaint.trim()
    )))
}
