//! One sandbox: its template, its processes and its lifetime.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use tokio::sync::{Mutex, watch};

use super::directory_watch::PolledWatches;
use super::ingress::SandboxIngress;
use super::lifetime::Lifetime;
use super::logs::LogBuffer;
use super::metrics::MetricHistory;
use super::ports::ReservedPort;
use super::process::Process;
use super::process_table::ProcessTable;
use super::template_image::StartCommands;
use super::verified_listeners::VerifiedListeners;
use crate::isolation::{CgroupParent, SandboxProcesses};

/// The port that agents serve, as callers name it.
pub(crate) const AGENT_PORT: u16 = 8080;

#[derive(Debug)]
pub(crate) struct LocalSandbox {
    pub(crate) id: String,
    pub(crate) template_id: String,
    pub(crate) alias: Option<String>,
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) cpu_count: u32,
    pub(crate) memory_mb: u32,
    pub(crate) started_at: SystemTime,
    /// The token that calls to the sandbox's daemon carry. The token also identifies the sandbox
    /// that a call is for.
    pub(crate) access_token: String,
    /// Whether a request resumes the sandbox after a pause that kept the memory.
    pub(crate) auto_resume: bool,
    /// The timeout at creation, in seconds. A request that resumes the sandbox sets this timeout
    /// again.
    pub(crate) timeout_seconds: u64,
    /// The real port behind port 8080 of the sandbox, if the sandbox shares the ports of this
    /// machine.
    pub(crate) agent_port: Option<ReservedPort>,
    pub(crate) verified_listeners: VerifiedListeners,
    /// The variables of every process started in the sandbox.
    pub(crate) environment: BTreeMap<String, String>,
    /// The working directory of a process whose start names none; `None` for the home directory of
    /// the process's user.
    pub(crate) directory: Option<String>,
    /// The start command and the ready command, which run at the first start and after a pause that
    /// kept only the files, and their user.
    pub(crate) start: StartCommands,
    /// The process of the last run of the start command; `None` before the first run.
    pub(super) started: RwLock<Option<Arc<Process>>>,
    pub(crate) ingress: SandboxIngress,
    /// Replaced when the sandbox starts again.
    pub(super) sandbox_processes: RwLock<Arc<SandboxProcesses>>,
    pub(super) cgroups: Option<CgroupParent>,
    pub(crate) processes: ProcessTable,
    pub(crate) logs: Arc<LogBuffer>,
    pub(crate) metrics: MetricHistory,
    pub(crate) watches: Arc<PolledWatches>,
    pub(super) lifetime: watch::Sender<Lifetime>,
    /// Held by a pause, resume, copy or kill.
    pub(super) change: Mutex<()>,
    /// Read-locked while a process starts; write-locked only to wait for starts in progress.
    pub(super) starts: RwLock<()>,
}

impl LocalSandbox {
    /// Returns the processes of the sandbox and their isolation.
    pub(crate) fn sandbox_processes(&self) -> Arc<SandboxProcesses> {
        let current = self.sandbox_processes.read();
        Arc::clone(&current.unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns the real port behind a port of this sandbox.
    pub(crate) fn real_port(&self, port: u16) -> u16 {
        match &self.agent_port {
            Some(agent_port) if port == AGENT_PORT => agent_port.number(),
            _ => port,
        }
    }
}
