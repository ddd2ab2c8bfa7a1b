//! Isolates sandboxes from each other and from the machine, with one of two implementations.
//!
//! [`Isolation`] starts sandboxes and translates the commands that run in them.
//! [`SandboxProcesses`] contains what both implementations share: pausing and killing all processes
//! of a sandbox.

mod bubblewrap;
mod cgroup;
mod choose;
mod connector;
mod handover;
mod interface;
mod kind;
mod launcher;
mod limits;
mod namespaces;
mod network;
mod pasta;
mod process_group;
mod processors;
mod root;
mod sandbox_processes;
mod search_path;
mod shims;
mod system_files;
mod unenforced;
mod users;

pub(crate) use bubblewrap::Directories;
pub(crate) use cgroup::CgroupParent;
pub(crate) use choose::{WantedIsolation, choose};
pub(crate) use connector::NetworkConnector;
pub(crate) use interface::{Isolation, SandboxCommand};
pub use kind::IsolationKind;
pub(crate) use limits::SandboxLimits;
pub(crate) use network::{Networks, SandboxNetwork};
pub(crate) use root::{prepare_directory, prepare_root};
pub(crate) use sandbox_processes::SandboxProcesses;
pub(crate) use search_path::DEFAULT_PATH;
pub use unenforced::UnenforcedLimit;
pub(crate) use unenforced::unenforced;
pub(crate) use users::{SandboxUser, UserPool};
