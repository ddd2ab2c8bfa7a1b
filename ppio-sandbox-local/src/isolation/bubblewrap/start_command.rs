//! The command that starts a sandbox's namespaces.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use super::arguments::ProgramArguments;
use super::mount_points::{SHARED_DIRECTORY, SYSTEM};
use super::{BOOT_ID_FILE, BubblewrapIsolation, RESOLV_CONF_FILE};
use crate::isolation::launcher::ProcessLauncher;
use crate::isolation::network::SandboxNetwork;
use crate::isolation::users::INNER_USER;
use crate::processes;

/// Files of `/proc` about the machine rather than the sandbox's processes.
const MASKED: &[&str] = &[
    "/proc/kcore",
    "/proc/keys",
    "/proc/sched_debug",
    "/proc/timer_list",
];
/// Reports on standard error that the namespaces are set up, then waits until the platform closes
/// the pipe.
const INIT_SCRIPT: &str = "echo ready >&2; read -r _";
/// The file of the kernel that identifies a start of the machine. Each start of a sandbox mounts a
/// file with an id of its own there.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";
/// The size of `/dev/shm` if the template sets no memory limit, in bytes.
const SHARED_MEMORY: u64 = 1 << 30;

impl BubblewrapIsolation {
    /// Returns the arguments of `bwrap` that mount what every sandbox sees.
    pub(super) fn mounts(&self) -> Vec<OsString> {
        let mut arguments = ProgramArguments::default();
        for name in SYSTEM {
            let path = Path::new("/").join(name);
            if fs::symlink_metadata(&path).is_ok_and(|found| found.is_dir()) {
                arguments.mount("--ro-bind", &path, &path);
            }
        }
        arguments.mount(
            "--ro-bind",
            self.system_files.directory(),
            Path::new("/etc"),
        );
        arguments.add(&["--proc", "/proc", "--ro-bind", "/proc/sys", "/proc/sys"]);
        for path in MASKED.iter().filter(|path| Path::new(path).exists()) {
            arguments.mount("--ro-bind", Path::new("/dev/null"), Path::new(path));
        }
        // Mounts below `/dev` stay writable.
        arguments.add(&["--dev", "/dev", "--remount-ro", "/dev"]);
        for path in &self.exposed {
            arguments.mount("--ro-bind", path, path);
        }
        // Hides the platform's API key and the files of other sandboxes.
        let system = ["/usr", "/nix"].map(PathBuf::from);
        let mut visible = self.exposed.iter().chain(&system);
        if visible.any(|visible| self.home.starts_with(visible)) {
            arguments.add(&["--tmpfs".as_ref(), self.home.as_os_str()]);
        }
        arguments.0
    }

    /// Returns the command that starts the namespaces of a sandbox.
    pub(super) fn arguments(&self, launcher: &ProcessLauncher) -> Vec<OsString> {
        let root = launcher.root();
        let mut arguments = ProgramArguments::default();
        processes::push_program(
            &mut arguments.0,
            &self.bwrap,
            [
                "--info-fd",
                "1",
                "--unshare-pid",
                "--unshare-ipc",
                "--unshare-uts",
            ],
        );
        arguments.add(&[
            "--hostname",
            "sandbox",
            "--new-session",
            "--cap-drop",
            "ALL",
        ]);
        if launcher.network.is_own() {
            arguments.add(&["--unshare-net"]);
        }
        match launcher.user() {
            Some(_) => arguments.add(&["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]),
            // Terminals of a sandbox belong to a root user, and its first process needs a
            // capability to create the inner namespace.
            None => arguments.add(&[
                "--unshare-user",
                "--uid",
                "0",
                "--gid",
                "0",
                "--cap-add",
                "CAP_SETFCAP",
            ]),
        }
        arguments.mount("--bind", &root, Path::new("/"));
        arguments.0.extend(self.mounts.iter().cloned());
        if Path::new(BOOT_ID).exists() {
            let own = launcher.directory.join(BOOT_ID_FILE);
            arguments.mount("--ro-bind", &own, Path::new(BOOT_ID));
        }
        if launcher.network == SandboxNetwork::Pasta {
            let own = launcher.directory.join(RESOLV_CONF_FILE);
            arguments.mount("--ro-bind", &own, Path::new("/etc/resolv.conf"));
        }
        if self.sizes {
            let size = match launcher.limits().memory_bytes {
                0 => SHARED_MEMORY,
                memory => memory,
            };
            arguments.add(&["--perms", "1777", "--size", &size.to_string()]);
            arguments.add(&["--tmpfs", "/dev/shm"]);
        } else {
            arguments.mount(
                "--bind",
                &root.join(SHARED_DIRECTORY),
                Path::new("/dev/shm"),
            );
        }
        arguments.add(&["--"]);
        if let Some(user) = launcher.user() {
            processes::push_program(&mut arguments.0, &self.programs.setpriv, ["--no-new-privs"]);
            arguments.0.extend(processes::unprivileged_user(user));
            arguments.add(&["--"]);
        } else {
            processes::push_program(&mut arguments.0, &self.unshare, ["--user"]);
            arguments.add(&[
                format!("--map-user={INNER_USER}"),
                format!("--map-group={INNER_USER}"),
                "--".to_owned(),
            ]);
        }
        arguments.add(&["/bin/sh", "-c", INIT_SCRIPT]);
        arguments.0
    }
}
