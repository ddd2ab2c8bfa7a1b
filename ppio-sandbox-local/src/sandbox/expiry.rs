//! Measures a running sandbox, and kills or pauses it when its timeout is over.

use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use super::instance::Sandbox;
use super::lifetime::{OnTimeout, Phase};
use super::registry::Registry;

/// How often a running sandbox is measured.
const SAMPLE_INTERVAL: Duration = Duration::from_secs(5);

impl Sandbox {
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
