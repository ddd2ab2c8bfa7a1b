//! Runs the start command of a template, and waits until its ready command succeeds.

use std::process::ExitStatus;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use tokio::time::timeout;

use super::create_error::{CreateError, READY_TIMEOUT};
use super::instance::LocalSandbox;
use super::process::{Process, ProcessConfig, StandardStreams};

/// The pause between two runs of the ready command.
const READY_INTERVAL: Duration = Duration::from_millis(50);
/// The maximum number of log lines in an error.
const SHOWN_LINES: usize = 5;

impl LocalSandbox {
    /// Runs the start command. With a ready command, returns once the ready command succeeds.
    ///
    /// # Errors
    ///
    /// [`CreateError::StartCommand`] if one of the commands cannot be started,
    /// [`CreateError::StartCommandEnded`] if the start command fails before the ready command
    /// succeeds, or ends and leaves no process running, and [`CreateError::NotReady`] after a
    /// minute.
    pub(super) async fn run_start_command(&self) -> Result<(), CreateError> {
        let start = |command| {
            let process = self.run(command, "start-command")?;
            let mut started = self.started.write().unwrap_or_else(PoisonError::into_inner);
            *started = Some(Arc::clone(&process));
            Ok::<_, CreateError>(process)
        };
        let Some(ready) = &self.start.ready else {
            return self
                .start
                .command
                .as_deref()
                .map_or(Ok(()), |command| start(command).map(drop));
        };
        let Some(command) = &self.start.command else {
            return self.wait_until_ready(ready, None).await;
        };
        let started = start(command)?;
        let waiting = self.wait_until_ready(ready, Some(&started));
        tokio::select! {
            biased;
            status = failure(&started) => Err(self.ended_early(&started, status)),
            outcome = waiting => outcome,
        }
    }

    fn run(&self, command: &str, tag: &str) -> Result<Arc<Process>, CreateError> {
        let config = ProcessConfig {
            cmd: "/bin/sh".into(),
            // The shell replaces itself with a simple command, so that signals reach it.
            args: vec!["-c".into(), command.to_owned()],
            ..ProcessConfig::default()
        };
        let streams = StandardStreams::Pipes { stdin: false };
        // The output of the process is in the log.
        let (process, _) =
            self.start_process(config, &self.start.user, Some(tag.into()), streams)?;
        Ok(process)
    }

    async fn wait_until_ready(
        &self,
        command: &str,
        started: Option<&Process>,
    ) -> Result<(), CreateError> {
        let deadline = Instant::now() + READY_TIMEOUT;
        while Instant::now() < deadline {
            let process = self.run(command, "ready-command")?;
            let rest = deadline.saturating_duration_since(Instant::now());
            let ended = timeout(rest, process.wait()).await;
            if ended.is_ok_and(|status| status.is_some_and(|status| status.success())) {
                return Ok(());
            }
            if let Some(started) = started
                && started.has_ended()
                && let Some(status) = started.wait().await
                // No process is left that could become ready.
                && self.sandbox_processes().are_idle()
            {
                return Err(self.ended_early(started, status));
            }
            tokio::time::sleep(READY_INTERVAL).await;
        }
        Err(CreateError::NotReady {
            lines: self.last_lines(started),
        })
    }

    /// Returns the exit status and the last lines of the start command, if the start command has
    /// ended and nothing else runs, so that no port will open.
    pub(crate) async fn ended_start_command(&self) -> Option<String> {
        let started = {
            let started = self.started.read();
            started.unwrap_or_else(PoisonError::into_inner).clone()
        };
        let started = started.filter(|started| started.has_ended())?;
        if !self.processes.list().is_empty() {
            return None;
        }
        let status = started.wait().await?;
        let processes = self.sandbox_processes();
        let looking = tokio::task::spawn_blocking(move || processes.are_idle());
        looking
            .await
            .unwrap_or_default()
            .then(|| self.ended_early(&started, status).to_string())
    }

    fn ended_early(&self, started: &Process, status: ExitStatus) -> CreateError {
        CreateError::StartCommandEnded {
            status,
            lines: self.last_lines(Some(started)),
        }
    }

    /// Returns the last log lines of the start command, or of all processes if there is none.
    fn last_lines(&self, started: Option<&Process>) -> String {
        let pid = started.map(|process| process.pid.to_string());
        let entries = self.logs.snapshot();
        let mut lines: Vec<_> = entries
            .iter()
            .rev()
            .filter(|entry| pid.is_none() || entry.fields.get("pid") == pid.as_ref())
            .take(SHOWN_LINES)
            .map(|entry| entry.message.as_str())
            .collect();
        lines.reverse();
        lines.join(" | ")
    }
}

/// Returns once `process` has ended without success.
async fn failure(process: &Process) -> ExitStatus {
    match process.wait().await {
        Some(status) if !status.success() => status,
        _ => std::future::pending().await,
    }
}
