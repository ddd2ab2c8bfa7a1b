//! Running, paused, gone: the changes of a sandbox's state, and its timeout.

use std::io;
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use super::{Level, Registry, Sandbox};
use crate::isolation;

/// How often a running sandbox is measured.
const SAMPLE_INTERVAL: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Running,
    Paused,
    /// Being killed, or killed.
    Gone,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnTimeout {
    Kill,
    Pause,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Life {
    pub(crate) phase: Phase,
    pub(crate) end_at: SystemTime,
    pub(crate) on_timeout: OnTimeout,
}

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

    /// Lives beside the sandbox: measures it, and kills or pauses it when its time is over.
    pub(super) async fn watch_over(self: Arc<Self>, registry: Weak<Registry>) {
        let mut changes = self.life.subscribe();
        let mut next_sample = tokio::time::Instant::now() + SAMPLE_INTERVAL;
        loop {
            let life = *changes.borrow_and_update();
            let rest = match life.phase {
                Phase::Gone => return,
                Phase::Paused => {
                    if changes.changed().await.is_err() {
                        return;
                    }
                    continue;
                }
                Phase::Running => life
                    .end_at
                    .duration_since(SystemTime::now())
                    .unwrap_or_default(),
            };
            tokio::select! {
                () = tokio::time::sleep(rest) => {
                    let Some(registry) = registry.upgrade() else { return };
                    // The end may have been moved while the timer fired.
                    if self.life().end_at <= SystemTime::now() {
                        self.expire(&registry).await;
                    }
                }
                () = tokio::time::sleep_until(next_sample) => {
                    self.sample().await;
                    next_sample = tokio::time::Instant::now() + SAMPLE_INTERVAL;
                }
                alive = changes.changed() => {
                    if alive.is_err() {
                        return;
                    }
                }
            }
        }
    }

    async fn expire(&self, registry: &Registry) {
        let outcome = match self.life().on_timeout {
            OnTimeout::Pause => self.pause().await.map_err(|error| error.to_string()),
            OnTimeout::Kill => registry
                .kill(&self.id)
                .await
                .map(drop)
                .map_err(|error| error.to_string()),
        };
        if let Err(reason) = outcome {
            tracing::warn!(sandbox = %self.id, %reason, "failed to end a sandbox whose time is over");
            // Tried again with the next round instead of at once.
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
}

/// Removes a directory with all that is in it. Processes that were just killed may have been
/// creating files there.
pub(crate) async fn remove_directory(directory: &std::path::Path) -> io::Result<()> {
    let mut attempts = 0;
    loop {
        let removed = directory.to_owned();
        let removing = tokio::task::spawn_blocking(move || isolation::remove_tree(&removed));
        match removing.await.map_err(io::Error::other)? {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) if attempts >= 5 => return Err(error),
            Err(_) => attempts += 1,
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
