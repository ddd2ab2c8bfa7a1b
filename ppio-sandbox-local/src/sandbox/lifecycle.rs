//! Running, paused, gone: the changes of a sandbox's state, and its timeout.

use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::instance::Sandbox;
use super::lifetime::{Life, OnTimeout, Phase};
use super::logs::Level;
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
}

impl Sandbox {
    pub(crate) fn life(&self) -> Life {
        *self.life.borrow()
    }

    /// Stops every process where it stands; memory is kept.
    pub(crate) async fn pause(&self) -> Result<(), ChangeError> {
        let _turn = self.change.lock().await;
        match self.life().phase {
            Phase::Running => {}
            Phase::Paused => return Err(ChangeError::AlreadyPaused),
            Phase::Gone => return Err(ChangeError::Gone),
        }
        // Traffic is refused first, so that no request is caught in the middle.
        self.life.send_modify(|life| life.phase = Phase::Paused);
        if let Err(error) = self.enclosure.freeze().await {
            // Some may stand already.
            let _ = self.enclosure.thaw().await;
            self.life.send_modify(|life| life.phase = Phase::Running);
            return Err(ChangeError::Processes(error));
        }
        self.logs.push(Level::Info, "sandbox paused", &[]);
        Ok(())
    }

    /// Continues every process and lets the sandbox live for `timeout` from now.
    pub(crate) async fn resume(
        &self,
        timeout: Duration,
        on_timeout: Option<OnTimeout>,
    ) -> Result<(), ChangeError> {
        let _turn = self.change.lock().await;
        match self.life().phase {
            Phase::Paused => {}
            Phase::Running => return Err(ChangeError::AlreadyRunning),
            Phase::Gone => return Err(ChangeError::Gone),
        }
        self.enclosure
            .thaw()
            .await
            .map_err(ChangeError::Processes)?;
        self.life.send_modify(|life| {
            life.phase = Phase::Running;
            life.end_at = SystemTime::now() + timeout;
            life.on_timeout = on_timeout.unwrap_or(life.on_timeout);
        });
        self.logs.push(Level::Info, "sandbox resumed", &[]);
        Ok(())
    }

    /// Sets the end to `timeout` from now.
    pub(crate) fn set_timeout(&self, timeout: Duration) {
        self.life
            .send_modify(|life| life.end_at = SystemTime::now() + timeout);
    }

    /// Moves the end to `timeout` from now unless it is later already.
    pub(crate) fn extend_timeout(&self, timeout: Duration) {
        self.life
            .send_modify(|life| life.end_at = life.end_at.max(SystemTime::now() + timeout));
    }

    /// Ends every process and removes every file. Safe to call twice.
    pub(super) async fn end(&self) -> io::Result<()> {
        self.life.send_modify(|life| life.phase = Phase::Gone);
        let _turn = self.change.lock().await;
        self.enclosure.kill().await?;
        remove_directory(self.enclosure.directory()).await
    }

    /// Measures the sandbox now.
    pub(crate) async fn sample(self: &Arc<Self>) {
        let sandbox = Arc::clone(self);
        let sampling = tokio::task::spawn_blocking(move || {
            let processes = sandbox.enclosure.processes().unwrap_or_default();
            sandbox
                .metrics
                .sample(&processes, &sandbox.enclosure.root());
        });
        let _ = sampling.await;
    }
}
