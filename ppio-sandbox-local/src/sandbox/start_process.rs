//! Starts a process in a sandbox.

use std::io;
use std::sync::{Arc, PoisonError};

use tokio::sync::mpsc;

use super::instance::LocalSandbox;
use super::lifetime::SandboxPhase;
use super::output_readers::OutputEvent;
use super::process::{Process, ProcessConfig, StandardStreams};
use super::user::{UnknownUser, check_user, user_environment};
use crate::files::USER_HOME;
use crate::isolation::SandboxCommand;

/// The maximum number of processes that clients may run at the same time in one sandbox. The start
/// command counts as one.
const MAX_PROCESSES: usize = 1024;

#[derive(Debug, thiserror::Error)]
pub(crate) enum ProcessStartError {
    #[error("no command was given")]
    NoCommand,
    #[error(
        "the command, its arguments or its variables hold a NUL byte, or a variable's name is \
         empty or holds `=`"
    )]
    Malformed,
    #[error("{MAX_PROCESSES} processes are already running")]
    TooMany,
    #[error("the sandbox is gone")]
    Gone,
    #[error(transparent)]
    User(#[from] UnknownUser),
    #[error("cwd '{0}' does not exist or is not a directory")]
    NoDirectory(String),
    #[error("failed to start the process")]
    Spawn(#[from] io::Error),
}

impl LocalSandbox {
    /// Starts a process as `user` and returns it with its output from the first byte on.
    pub(crate) fn start_process(
        &self,
        config: ProcessConfig,
        user: &str,
        tag: Option<String>,
        streams: StandardStreams,
    ) -> Result<(Arc<Process>, mpsc::Receiver<OutputEvent>), ProcessStartError> {
        if config.cmd.is_empty() {
            return Err(ProcessStartError::NoCommand);
        }
        let texts = std::iter::once(&config.cmd)
            .chain(&config.args)
            .chain(config.envs.values())
            .chain(&config.cwd);
        let bad_name = |name: &String| name.is_empty() || name.contains(['=', '\0']);
        if texts.into_iter().any(|text| text.contains('\0')) || config.envs.keys().any(bad_name) {
            return Err(ProcessStartError::Malformed);
        }
        check_user(user)?;
        if self.processes.list().len() >= MAX_PROCESSES {
            return Err(ProcessStartError::TooMany);
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
            Some("~") => home,
            Some(cwd) => format!("{home}/{}", cwd.strip_prefix("~/").unwrap_or(cwd)),
            None => self.directory.clone().unwrap_or(home),
        };
        let sandbox_processes = self.sandbox_processes();
        if config.cwd.as_ref().is_some_and(|cwd| !cwd.is_empty())
            && !sandbox_processes.has_directory(&directory)
        {
            return Err(ProcessStartError::NoDirectory(directory));
        }
        let terminal = matches!(streams, StandardStreams::Terminal(_));
        if terminal {
            environment
                .entry("TERM".into())
                .or_insert_with(|| "xterm-256color".into());
        }
        let run = SandboxCommand {
            program: config.cmd.clone(),
            arguments: config.args.clone(),
            environment,
            directory,
            terminal,
        };
        let command = sandbox_processes.command(&run);
        let owner = sandbox_processes.owner();
        // A kill waits for this lock, and then finds the process.
        let _start = self.starts.read().unwrap_or_else(PoisonError::into_inner);
        if self.lifetime().phase == SandboxPhase::Gone {
            return Err(ProcessStartError::Gone);
        }
        let (process, events) = Process::spawn(command, config, tag, streams, owner, &self.logs)?;
        self.processes.add(&process);
        Ok((process, events))
    }
}
