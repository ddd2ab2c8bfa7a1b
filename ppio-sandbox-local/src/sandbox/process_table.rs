//! The processes that were started in a sandbox through its daemon.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio::sync::mpsc;

use super::creation::user_environment;
use super::{Process, ProcessConfig, ProcessEvent, Sandbox, Streams};
use crate::confined_path::USER_HOME;
use crate::isolation::Run;

/// More running processes than this are a runaway client.
const MAX_PROCESSES: usize = 1024;

#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error("no command was given")]
    NoCommand,
    #[error(
        "the command, its arguments or its variables hold a NUL byte, or a variable's name is empty or holds `=`"
    )]
    Malformed,
    #[error("{MAX_PROCESSES} processes run already")]
    TooMany,
    #[error("failed to start the process: {0}")]
    Spawn(#[from] io::Error),
}

#[derive(Debug)]
pub(crate) struct ProcessTable {
    running: Mutex<BTreeMap<u32, Arc<Process>>>,
    last_start: Mutex<Instant>,
}

impl Default for ProcessTable {
    fn default() -> Self {
        Self {
            running: Mutex::default(),
            last_start: Mutex::new(Instant::now()),
        }
    }
}

impl ProcessTable {
    pub(crate) fn list(&self) -> Vec<Arc<Process>> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.retain(|_, process| !process.has_ended());
        running.values().cloned().collect()
    }

    pub(crate) fn by_pid(&self, pid: u32) -> Option<Arc<Process>> {
        self.list().into_iter().find(|process| process.pid == pid)
    }

    pub(crate) fn by_tag(&self, tag: &str) -> Option<Arc<Process>> {
        self.list()
            .into_iter()
            .find(|process| process.tag.as_deref() == Some(tag))
    }

    /// When the youngest process was started, or the sandbox itself.
    pub(crate) fn last_start(&self) -> Instant {
        *self
            .last_start
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, process: &Arc<Process>) {
        *self
            .last_start
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Instant::now();
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.insert(process.pid, Arc::clone(process));
    }
}

impl Sandbox {
    /// Starts a process as `user` and listens to it from its first byte.
    pub(crate) fn start_process(
        &self,
        config: ProcessConfig,
        user: &str,
        tag: Option<String>,
        streams: Streams,
    ) -> Result<(Arc<Process>, mpsc::Receiver<ProcessEvent>), StartError> {
        if config.cmd.is_empty() {
            return Err(StartError::NoCommand);
        }
        let texts = std::iter::once(&config.cmd)
            .chain(&config.args)
            .chain(config.envs.values())
            .chain(&config.cwd);
        let bad_name = |name: &String| name.is_empty() || name.contains(['=', '\0']);
        if texts.into_iter().any(|text| text.contains('\0')) || config.envs.keys().any(bad_name) {
            return Err(StartError::Malformed);
        }
        if self.processes.list().len() >= MAX_PROCESSES {
            return Err(StartError::TooMany);
        }
        let mut environment = self.environment.clone();
        environment.extend(user_environment(user));
        environment.extend(config.envs.clone());
        let home = environment
            .get("HOME")
            .map_or(USER_HOME, String::as_str)
            .to_owned();
        let directory = match config.cwd.as_deref().filter(|cwd| !cwd.is_empty()) {
            Some(cwd) if cwd.starts_with('/') => cwd.to_owned(),
            Some(cwd) => format!("{home}/{}", cwd.trim_start_matches("~/")),
            None => self.directory.clone().unwrap_or(home),
        };
        let terminal = matches!(streams, Streams::Terminal(_));
        if terminal {
            environment
                .entry("TERM".into())
                .or_insert_with(|| "xterm-256color".into());
        }
        let run = Run {
            program: config.cmd.clone(),
            arguments: config.args.clone(),
            environment,
            directory,
            terminal,
        };
        let command = self.enclosure.command(&run);
        let owner = self.enclosure.owner();
        let (process, events) = Process::spawn(command, config, tag, streams, owner, &self.logs)?;
        self.processes.add(&process);
        Ok((process, events))
    }
}
