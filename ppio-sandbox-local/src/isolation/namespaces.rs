//! The namespaces of a sandbox, held open so that other processes can join them.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};

use super::network::SandboxNetwork;
use crate::processes;

/// The namespaces of a sandbox.
#[derive(Debug)]
pub(crate) struct Namespaces {
    /// The pid, on this machine, of the first process of the process namespace.
    pub(super) first: i32,
    /// The pid of the process whose namespaces an ordinary user's `nsenter` enters.
    pub(super) joined: i32,
    /// The user namespace that owns the other namespaces.
    pub(super) user: Namespace,
    pub(super) mount: Namespace,
    pub(super) pid: Namespace,
    pub(super) ipc: Namespace,
    pub(super) uts: Namespace,
    /// `None` if the sandbox has this machine's network.
    pub(super) network: Option<Namespace>,
}

impl Namespaces {
    /// Returns the processes in the process namespace, which is held open, so its name is not
    /// reused.
    pub(super) fn processes(&self) -> io::Result<Vec<i32>> {
        processes::in_namespace(&self.pid.name()?)
    }

    /// Splits `pids` into those in the process namespace and the others.
    pub(super) fn split(&self, pids: &[i32]) -> io::Result<(Vec<i32>, Vec<i32>)> {
        let name = self.pid.name()?;
        let is_inside = |pid: &i32| processes::is_in_namespace(*pid, &name);
        Ok(pids.iter().copied().partition(is_inside))
    }

    /// Returns the processes started for the sandbox in `directory`, and their descendants. `None`
    /// if the kernel does not list them.
    pub(super) fn descendants(&self, directory: &Path) -> io::Result<Option<Vec<i32>>> {
        let name = self.pid.name()?;
        // The pid may belong to another process by now.
        let first = processes::is_in_namespace(self.first, &name).then_some(self.first);
        Ok(processes::find_descendants(directory, first))
    }
}

/// An open namespace.
#[derive(Debug)]
pub(crate) struct Namespace(File);

impl Namespace {
    fn open(pid: i32, name: &str) -> io::Result<Self> {
        File::open(format!("/proc/{pid}/ns/{name}")).map(Self)
    }

    /// Returns a path at which other processes can open the namespace for as long as `self` exists.
    pub(super) fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.0.as_raw_fd())
    }

    /// Returns the open namespace, to pass to a process.
    pub(super) fn file(&self) -> io::Result<File> {
        self.0.try_clone()
    }

    /// Returns the name of the namespace, as `/proc/<pid>/ns` shows it.
    pub(crate) fn name(&self) -> io::Result<PathBuf> {
        fs::read_link(self.path())
    }
}

impl Namespaces {
    /// Opens the namespaces of a sandbox, given its first process and the process whose namespaces
    /// commands join.
    pub(super) fn open(first: i32, joined: i32, network: SandboxNetwork) -> io::Result<Self> {
        Ok(Self {
            first,
            joined,
            user: Namespace::open(first, "user")?,
            mount: Namespace::open(first, "mnt")?,
            pid: Namespace::open(first, "pid")?,
            ipc: Namespace::open(first, "ipc")?,
            uts: Namespace::open(first, "uts")?,
            network: network
                .is_own()
                .then(|| Namespace::open(first, "net"))
                .transpose()?,
        })
    }
}
