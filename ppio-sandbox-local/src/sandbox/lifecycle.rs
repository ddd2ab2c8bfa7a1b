//! Pauses, resumes and ends a sandbox, and changes its timeout.

use std::io;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, SystemTime};

use super::create_error::CreateError;
use super::instance::LocalSandbox;
use super::lifetime::{Lifetime, OnTimeout, PauseKind, SandboxPhase};
use super::logs::SandboxLogLevel;
use super::process::Process;
use crate::files::remove_directory;

#[derive(Debug, thiserror::Error)]
pub(crate) enum ChangeError {
    #[error("sandbox is already paused")]
    AlreadyPaused,
    #[error("sandbox is already running")]
    AlreadyRunning,
    #[error("sandbox is gone")]
    Gone,
    #[error("failed to stop or continue the sandbox's processes")]
    Processes(#[source] io::Error),
    #[error("failed to copy the sandbox's files")]
    Copy(#[source] io::Error),
    #[error("failed to start the sandbox again")]
    Restart(#[source] CreateError),
}

impl LocalSandbox {
    pub(crate) fn lifetime(&self) -> Lifetime {
        *self.lifetime.borrow()
    }

    /// Completes when the sandbox is killed.
    pub(crate) fn gone(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut lifetime = self.lifetime.subscribe();
        async move {
            let is_gone = |lifetime: &Lifetime| lifetime.phase == SandboxPhase::Gone;
            let _ = lifetime.wait_for(is_gone).await;
        }
    }

    /// Kills `process` with its children when `timeout` has passed, unless it ends before. While
    /// the sandbox is paused, the kill waits.
    pub(crate) fn limit(&self, process: &Arc<Process>, timeout: Duration) {
        let process = Arc::clone(process);
        let mut lifetime = self.lifetime.subscribe();
        // The task ends with the process.
        tokio::spawn(async move {
            if tokio::time::timeout(timeout, process.wait()).await.is_ok() {
                return;
            }
            let is_awake = |lifetime: &Lifetime| lifetime.phase != SandboxPhase::Paused;
            let _ = lifetime.wait_for(is_awake).await;
            if let Err(error) = process.kill_tree().await {
                tracing::warn!(pid = process.pid, %error, "failed to kill a command whose timeout has passed");
            }
        });
    }

    /// Stops every process, or ends it if only files are kept.
    pub(crate) async fn pause(&self, kind: PauseKind) -> Result<(), ChangeError> {
        let _turn = self.change.lock().await;
        match self.lifetime().phase {
            SandboxPhase::Running => {}
            SandboxPhase::Paused => return Err(ChangeError::AlreadyPaused),
            SandboxPhase::Gone => return Err(ChangeError::Gone),
        }
        // Traffic is refused first, so that no new request reaches a process that is being stopped.
        self.lifetime.send_modify(|lifetime| {
            lifetime.phase = SandboxPhase::Paused;
            lifetime.paused = kind;
        });
        let message = match kind {
            PauseKind::Memory => {
                if let Err(error) = self.sandbox_processes().freeze().await {
                    // Some processes may be stopped already.
                    let _ = self.sandbox_processes().thaw().await;
                    self.lifetime
                        .send_modify(|lifetime| lifetime.phase = SandboxPhase::Running);
                    return Err(ChangeError::Processes(error));
                }
                "sandbox paused"
            }
            PauseKind::Files => {
                // After an error the sandbox stays paused: a resume ends the remaining processes
                // and starts the sandbox again.
                let killed = self.sandbox_processes().kill().await;
                killed.map_err(ChangeError::Processes)?;
                "sandbox paused, its processes ended"
            }
        };
        self.logs.push(SandboxLogLevel::Info, message, &[]);
        Ok(())
    }

    /// Continues every process, or starts the sandbox again if only files were kept, and sets
    /// the end to `timeout` from now.
    pub(crate) async fn resume(
        &self,
        timeout: Duration,
        on_timeout: Option<OnTimeout>,
    ) -> Result<(), ChangeError> {
        let _turn = self.change.lock().await;
        match self.lifetime().phase {
            SandboxPhase::Paused => {}
            SandboxPhase::Running => return Err(ChangeError::AlreadyRunning),
            SandboxPhase::Gone => return Err(ChangeError::Gone),
        }
        match self.lifetime().paused {
            PauseKind::Memory => {
                let thawed = self.sandbox_processes().thaw().await;
                thawed.map_err(ChangeError::Processes)?;
            }
            PauseKind::Files => {
                let mut lifetime = self.lifetime.subscribe();
                let outcome = tokio::select! {
                    started = self.start_again() => started.map_err(ChangeError::Restart),
                    // A kill of the sandbox waits for this call.
                    _ = lifetime.wait_for(|now| now.phase == SandboxPhase::Gone) => {
                        Err(ChangeError::Gone)
                    }
                };
                if outcome.is_err() {
                    // The next attempt starts from the beginning.
                    let _ = self.sandbox_processes().kill().await;
                }
                outcome?;
            }
        }
        self.lifetime.send_modify(|lifetime| {
            lifetime.phase = SandboxPhase::Running;
            lifetime.end_at = SystemTime::now() + timeout;
            lifetime.on_timeout = on_timeout.unwrap_or(lifetime.on_timeout);
        });
        self.logs
            .push(SandboxLogLevel::Info, "sandbox resumed", &[]);
        Ok(())
    }

    async fn start_again(&self) -> Result<(), CreateError> {
        self.verified_listeners.clear();
        let ended = self.sandbox_processes();
        let started = ended.start_again(self.cgroups.as_ref()).await;
        let started = Arc::new(started.map_err(CreateError::Start)?);
        *(self.sandbox_processes.write()).unwrap_or_else(PoisonError::into_inner) = started;
        self.run_start_command().await
    }

    /// Sets the end to `timeout` from now.
    pub(crate) fn set_timeout(&self, timeout: Duration) {
        self.lifetime
            .send_modify(|lifetime| lifetime.end_at = SystemTime::now() + timeout);
    }

    /// Moves the end to `timeout` from now unless it is later already.
    pub(crate) fn extend_timeout(&self, timeout: Duration) {
        self.lifetime.send_modify(|lifetime| {
            lifetime.end_at = lifetime.end_at.max(SystemTime::now() + timeout);
        });
    }

    /// Ends every process and removes every file. Safe to call twice.
    pub(super) async fn end(&self) -> io::Result<()> {
        self.lifetime
            .send_modify(|lifetime| lifetime.phase = SandboxPhase::Gone);
        let _turn = self.change.lock().await;
        drop(self.starts.write().unwrap_or_else(PoisonError::into_inner));
        self.sandbox_processes().kill().await?;
        remove_directory(self.sandbox_processes().directory()).await
    }

    /// Takes a sample of the resources that the sandbox uses.
    pub(crate) async fn sample(self: &Arc<Self>) {
        let sandbox = Arc::clone(self);
        let sampling = tokio::task::spawn_blocking(move || {
            let processes = sandbox.sandbox_processes().processes().unwrap_or_default();
            sandbox
                .metrics
                .sample(&processes, &sandbox.sandbox_processes().root());
        });
        let _ = sampling.await;
    }
}
