//! The interface of an isolation: how a sandbox starts, and how a command is run in it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;

use tokio::process::Child;

use super::connector::NetworkConnector;
use super::kind::IsolationKind;
use super::launcher::ProcessLauncher;
use super::namespaces::Namespaces;
use super::pasta::PastaProcess;
use super::users::SandboxUser;
use crate::processes::SystemPrograms;

/// A command to run in a sandbox, with paths as the sandbox sees them.
#[derive(Debug, Clone, Default)]
pub(crate) struct SandboxCommand {
    pub(crate) program: String,
    pub(crate) arguments: Vec<String>,
    pub(crate) environment: BTreeMap<String, String>,
    /// The absolute path of the working directory, as the sandbox sees it.
    pub(crate) directory: String,
    /// Whether the command's standard input is a terminal, which becomes its controlling terminal.
    pub(crate) terminal: bool,
}

/// A [`SandboxCommand`] as it is run on this machine.
#[derive(Debug)]
pub(crate) struct HostCommand {
    /// The programs that enter the sandbox, with their arguments. No argument comes from a caller.
    pub(crate) entering: Vec<OsString>,
    /// Whether the programs of `entering` enter a process namespace.
    pub(crate) enters_namespaces: bool,
    /// The program and its arguments.
    pub(crate) program: Vec<OsString>,
    /// Every variable of the program.
    pub(crate) variables: BTreeMap<String, String>,
    /// The working directory of the program.
    pub(crate) directory: PathBuf,
}

/// The namespaces of a sandbox that was started.
#[derive(Debug)]
pub(crate) struct StartedNamespaces {
    pub(crate) namespaces: Namespaces,
    /// The first process, which runs until its standard input is closed.
    pub(crate) first_process: Child,
    /// `Some` for a sandbox with a network namespace.
    pub(crate) connector: Option<NetworkConnector>,
    /// `Some` for a network namespace with internet access.
    pub(crate) pasta: Option<PastaProcess>,
}

pub(crate) type StartFuture<'a> =
    Pin<Box<dyn Future<Output = io::Result<Option<StartedNamespaces>>> + Send + 'a>>;

/// Starts sandboxes, and translates commands that run in them.
pub(crate) trait Isolation: fmt::Debug + Send + Sync {
    fn kind(&self) -> IsolationKind;

    /// Returns the programs that start a process.
    fn programs(&self) -> &SystemPrograms;

    /// Whether the kernel counts the processes of a sandbox with this user separately.
    fn counts_processes(&self, user: &SandboxUser) -> bool;

    /// Starts the first process of the sandbox's namespaces. `None` for an isolation without
    /// namespaces.
    fn start<'a>(&'a self, launcher: &'a ProcessLauncher) -> StartFuture<'a>;

    /// Translates a command to one of this machine.
    fn host_command(
        &self,
        launcher: &ProcessLauncher,
        namespaces: Option<&Namespaces>,
        run: &SandboxCommand,
    ) -> HostCommand;
}
