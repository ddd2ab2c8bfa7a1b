//! Measures a running sandbox, and kills or pauses it when its timeout has passed.

use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use super::instance::LocalSandbox;
use super::lifetime::{OnTimeout, SandboxPhase};
use super::registry::SandboxRegistry;
use crate::error::with_sources;

/// The interval between two samples of a running sandbox.
const SAMPLE_INTERVAL: Duration = Duration::from_secs(5);

impl LocalSandbox {
    /// Runs as long as the sandbox exists: samples the resources that the sandbox uses, and kills
    /// or pauses it when its timeout has passed.
    pub(super) async fn watch_expiry(self: Arc<Self>, registry: Weak<SandboxRegistry>) {
        let mut changes = self.lifetime.subscribe();
        let mut next_sample = tokio::time::Instant::now() + SAMPLE_INTERVAL;
        loop {
            let lifetime = *changes.borrow_and_update();
            let rest = match lifetime.phase {
                SandboxPhase::Gone => return,
                SandboxPhase::Paused => {
                    if changes.changed().await.is_err() {
                        return;
                    }
                    continue;
                }
                SandboxPhase::Running => lifetime
                    .end_at
                    .duration_since(SystemTime::now())
                    .unwrap_or_default(),
            };
            tokio::select! {
                () = tokio::time::sleep(rest) => {
                    let Some(registry) = registry.upgrade() else { return };
                    // The end may have been moved since the timer was set.
                    if self.lifetime().end_at <= SystemTime::now() {
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

    async fn expire(&self, registry: &SandboxRegistry) {
        let outcome = match self.lifetime().on_timeout {
            OnTimeout::Pause(kind) => self.pause(kind).await.map_err(|error| with_sources(&error)),
            OnTimeout::Kill => registry
                .kill(&self.id)
                .await
                .map(drop)
                .map_err(|error| error.to_string()),
        };
        if let Err(reason) = outcome {
            tracing::warn!(sandbox = %self.id, %reason, "failed to end a sandbox whose timeout has passed");
            // Waits before the next attempt.
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
}
