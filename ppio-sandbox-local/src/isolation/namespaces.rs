//! The namespaces of a sandbox, held open so that other processes can join them.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd as _;
use std::path::PathBuf;

use crate::processes;

/// What holds a sandbox's namespaces, for isolations that have them.
#[derive(Debug)]
pub(crate) struct Namespaces {
    /// The first process of the process namespace, as this machine numbers it.
    pub(super) first: i32,
    /// The process in the sandbox that others join, as an ordinary user's `nsenter` names it.
    pub(super) joined: i32,
    /// The user namespace that the others belong to.
    pub(super) user: Namespace,
    pub(super) mount: Namespace,
    pub(super) pid: Namespace,
    pub(super) ipc: Namespace,
    pub(super) uts: Namespace,
}

impl Namespaces {
    /// The processes in its process namespace. The namespace is held open: no other has its name.
    pub(super) fn processes(&self) -> io::Result<Vec<i32>> {
        processes::in_namespace(&self.pid.name()?)
    }
}

/// A namespace that is held open.
#[derive(Debug)]
pub(crate) struct Namespace(File);

impl Namespace {
    fn open(pid: i32, name: &str) -> io::Result<Self> {
        File::open(format!("/proc/{pid}/ns/{name}")).map(Self)
    }

    /// Where others find it for as long as `self` lives.
    pub(super) fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.0.as_raw_fd())
    }

    /// What it is called.
    pub(crate) fn name(&self) -> io::Result<PathBuf> {
        fs::read_link(self.path())
    }
}

impl Namespaces {
    /// Holds the namespaces of a sandbox by its first process, and the process that others join.
    pub(super) fn open(first: i32, joined: i32) -> io::Result<Self> {
        Ok(Self {
            first,
            joined,
            user: Namespace::open(first, "user")?,
            mount: Namespace::open(first, "mnt")?,
            pid: Namespace::open(first, "pid")?,
            ipc: Namespace::open(first, "ipc")?,
            uts: Namespace::open(first, "uts")?,
        })
    }
}
