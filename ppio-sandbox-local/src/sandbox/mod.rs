//! A sandbox: what it was made from, what runs in it, and how long it lives.

mod creation;
mod directory_watch;
mod lifecycle;
mod logs;
mod metrics;
mod ports;
mod process;
mod process_table;
mod registry;
mod root;
mod terminal;
mod verified_listeners;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::{Mutex, watch};

pub(crate) use creation::{CreateError, NewSandbox, user_environment};
pub(crate) use directory_watch::{ChangeKind, DirectoryChange, DirectoryWatch, PolledWatches};
pub(crate) use lifecycle::{ChangeError, Life, OnTimeout, Phase, remove_directory};
pub(crate) use logs::{Level, LineCutter, LogEntry, Logs};
pub(crate) use metrics::{Metrics, Sample, disk_usage};
pub(crate) use ports::{Port, Ports};
pub(crate) use process::{Process, ProcessConfig, ProcessEvent, Streams};
pub(crate) use process_table::{ProcessTable, StartError};
pub(crate) use registry::Registry;
pub(crate) use root::{make_place, prepare_root};
pub(crate) use terminal::Terminal;
pub(crate) use verified_listeners::{VerifiedListener, VerifiedListeners};

use crate::isolation::Enclosure;

/// The port that agents serve, as callers name it.
pub(crate) const AGENT_PORT: u16 = 8080;

#[derive(Debug)]
pub(crate) struct Sandbox {
    pub(crate) id: String,
    pub(crate) template_id: String,
    pub(crate) alias: Option<String>,
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) cpu_count: u32,
    pub(crate) memory_mb: u32,
    pub(crate) started_at: SystemTime,
    /// What calls of its daemon must show. Unique to this sandbox, so that it also tells which sandbox a call is for.
    pub(crate) access_token: String,
    /// Whether traffic wakes the sandbox when it is paused.
    pub(crate) auto_resume: bool,
    /// The timeout it was created with, in seconds; traffic that wakes it grants the same again.
    pub(crate) timeout_seconds: u64,
    /// Where its port 8080 really is.
    pub(crate) agent_port: Port,
    pub(crate) verified_listeners: VerifiedListeners,
    /// The variables and the working directory of every process started in it.
    pub(crate) environment: BTreeMap<String, String>,
    pub(crate) directory: Option<String>,
    pub(crate) enclosure: Enclosure,
    pub(crate) processes: ProcessTable,
    pub(crate) logs: Arc<Logs>,
    pub(crate) metrics: Metrics,
    pub(crate) watches: Arc<PolledWatches>,
    life: watch::Sender<Life>,
    // One pause, resume or kill at a time.
    change: Mutex<()>,
}
