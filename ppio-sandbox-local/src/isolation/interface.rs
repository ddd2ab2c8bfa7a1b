//! What an isolation implements: how a sandbox starts, and how a command gets into it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;

use super::kind::IsolationKind;
use super::launcher::ProcessLauncher;
use super::namespaces::Namespaces;
use super::users::SandboxUser;
use crate::processes::SystemPrograms;

/// A command to run in a sandbox, in the sandbox's terms.
#[derive(Debug, Clone, Default)]
pub(crate) struct SandboxCommand {
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
pub(crate) struct HostCommand {
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

pub(crate) type StartFuture<'a> = Pin<
    Box<dyn Future<Output = io::Result<Option<(Namespaces, tokio::process::Child)>>> + Send + 'a>,
>;

/// How a sandbox starts, and how a command gets into it.
pub(crate) trait Isolation: fmt::Debug + Send + Sync {
    fn kind(&self) -> IsolationKind;

    /// The programs that every start goes through.
    fn programs(&self) -> &SystemPrograms;

    /// Whether the kernel counts the processes of a sandbox with this user by themselves.
    fn counts_processes(&self, user: &SandboxUser) -> bool;

    /// Starts the process that holds the sandbox's namespaces, where there is one.
    fn start<'a>(&'a self, launcher: &'a ProcessLauncher) -> StartFuture<'a>;

    /// Translates a command for this machine.
    fn host_command(
        &self,
        launcher: &ProcessLauncher,
        namespaces: Option<&Namespaces>,
        run: &SandboxCommand,
    ) -> HostCommand;
}
