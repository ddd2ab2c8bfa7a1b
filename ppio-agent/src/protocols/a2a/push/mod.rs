//! Push notifications: the state of a task is sent to the URLs that its caller has configured.
//!
//! A configuration is kept in memory as long as its A2A task (`kept`). While a run works, each
//! configuration has a tokio task of its own (`PushNotifications::follow`), which waits for the end
//! of the run and reads the answer afterwards, so that no receiver slows down a run. A notification
//! contains the whole task, or only the status of a large task. One notification is sent when a run
//! begins, and another when the A2A task ends or needs an input. A configuration that is added to a
//! running task receives only the second notification.

mod config;
mod delivery;
mod kept;
mod operations;
mod slots;
mod target;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Weak};

use bytes::Bytes;
use tokio::sync::watch;

pub(super) use self::config::PushConfig;
use self::delivery::{ATTEMPTS, Delivery};
use self::kept::{Follower, KeptConfigs};
pub(super) use self::operations::{PushOperation, perform};
use super::failure::A2aError;
use super::task;
use super::wire::{Task, TaskState, Version};
use crate::exchange::Exchange;
use crate::exchange::json::to_bytes;
use crate::invocation::Invoker;
use crate::protocols::ProtocolAgent;
use crate::runs::registry::RunRegistry;
use crate::runs::run::Run;

/// The largest task that is sent whole, in bytes; of a larger task, only the status is sent.
const MAX_TASK: usize = 1 << 20;

/// The name of the tokio tasks that send notifications.
const FOLLOWER: &str = "push notifications";

/// The configurations of all tasks, and the delivery of their notifications.
pub(crate) struct PushNotifications {
    delivery: Delivery,
    configs: KeptConfigs,
    /// Whether no further notification is sent, because the agent has shut down.
    is_stopped: watch::Sender<bool>,
}

/// The data that is needed to read the answer of a run after its request has ended.
#[derive(Clone)]
pub(super) struct RunReading {
    runs: Arc<RunRegistry>,
    invoker: Arc<Invoker>,
    exchange: Exchange,
}

/// A run whose task has configurations.
#[derive(Clone)]
pub(super) struct FollowedRun {
    run: Arc<Run>,
    reading: RunReading,
}

impl RunReading {
    pub(super) fn new(agent: &ProtocolAgent<'_>, exchange: &Exchange) -> Self {
        Self {
            runs: Arc::clone(agent.runs),
            invoker: Arc::new(agent.invoker.for_connection()),
            exchange: exchange.clone(),
        }
    }

    pub(super) fn of(self, run: &Arc<Run>) -> FollowedRun {
        FollowedRun {
            run: Arc::clone(run),
            reading: self,
        }
    }
}

/// A notification about the state of a task. The state is read when the notification is sent, since
/// notifications may wait for each other. A waiting notification does not keep its run in memory.
struct Notification {
    run: Weak<Run>,
    reading: RunReading,
    /// Whether the notification is about the beginning of the task, and is sent only while the task
    /// is working.
    is_begin: bool,
}

impl FollowedRun {
    fn notification(&self, is_begin: bool) -> Notification {
        Notification {
            run: Arc::downgrade(&self.run),
            reading: self.reading.clone(),
            is_begin,
        }
    }
}

impl Notification {
    /// Returns the body of the request; `None` if there is nothing to send any more.
    async fn body(&self, version: Version) -> Option<Bytes> {
        let run = self.run.upgrade()?;
        if self.is_begin && run.status().is_ended() {
            return None;
        }
        let RunReading {
            invoker, exchange, ..
        } = &self.reading;
        let task = task::of_run(invoker, exchange, &run).await;
        let is_wanted = !self.is_begin || task.status.state == TaskState::Working;
        is_wanted.then(|| body(&task, version))
    }
}

impl PushNotifications {
    pub(crate) fn new(allows_private: bool) -> Arc<Self> {
        Arc::new(Self {
            delivery: Delivery::new(allows_private),
            configs: KeptConfigs::default(),
            is_stopped: watch::Sender::new(false),
        })
    }

    pub(super) fn allows_private(&self) -> bool {
        self.delivery.allows_private
    }

    /// Stops the delivery of notifications that have not been acknowledged.
    pub(crate) fn stop(&self) {
        self.is_stopped.send_replace(true);
    }

    /// Fails if the task already has the maximum number of configurations, unless `config` replaces
    /// a configuration with the same id.
    pub(super) fn check_room(&self, task: &str, config: &PushConfig) -> Result<(), A2aError> {
        self.configs.check_room(task, config)
    }

    /// Whether runs of the task have to be followed.
    pub(super) fn has_configs(&self, task: &str) -> bool {
        self.configs.has(task)
    }

    /// Sends notifications about a task's run that has just started.
    pub(super) fn started(
        self: &Arc<Self>,
        task: &str,
        followed: &FollowedRun,
        config: Option<Arc<PushConfig>>,
    ) {
        if let Some(config) = config {
            let added = self.configs.add(task, &followed.run, config, |_| None);
            // The task has reached the maximum number of configurations since the request was
            // checked.
            if let Err(error) = added {
                tracing::warn!(task, %error, "a push notification configuration is not kept");
            }
        }
        self.configs.follow(task, &followed.run, |config| {
            self.follow(task, config, followed.clone(), true)
        });
    }

    /// Sends notifications about a task that was cancelled after the end of its run.
    pub(super) fn withdrawn(self: &Arc<Self>, task: &str, followed: &FollowedRun) {
        self.configs.follow(task, &followed.run, |config| {
            self.follow(task, config, followed.clone(), false)
        });
    }

    /// Keeps a configuration of an existing task, and sends notifications about later changes.
    ///
    /// # Errors
    /// If the task already has the maximum number of configurations.
    fn configure(
        self: &Arc<Self>,
        task: &str,
        followed: &FollowedRun,
        config: PushConfig,
    ) -> Result<(), A2aError> {
        let run = &followed.run;
        self.configs.add(task, run, Arc::new(config), |config| {
            let is_running = !run.status().is_ended();
            is_running.then(|| self.follow(task, config, followed.clone(), false))
        })
    }

    /// Sends notifications to one receiver: about the start and the end of a run if `from_start` is
    /// true, otherwise about the end only.
    fn follow(
        self: &Arc<Self>,
        task: &str,
        config: &Arc<PushConfig>,
        followed: FollowedRun,
        from_start: bool,
    ) -> Follower {
        let (push, task, config) = (Arc::clone(self), task.to_owned(), Arc::clone(config));
        let mut is_stopped = push.is_stopped.subscribe();
        let runs = &followed.reading.runs;
        // A shutdown waits for the tokio task of the follower, within the grace period.
        let running = runs.tasks().start(FOLLOWER, None);
        let counted = runs.inspected_tasks().count_own();
        let following = tokio::spawn(async move {
            let _kept = (running, counted);
            let all = async {
                let delivery = &push.delivery;
                if from_start {
                    // A notification of the end follows in any case, so one attempt is enough.
                    let begun = followed.notification(true);
                    delivery.deliver(&task, &config, &begun, 1).await;
                }
                followed.run.end_recorded().await;
                let ended = followed.notification(false);
                // Only the registry determines how long the run is kept.
                drop(followed);
                delivery.deliver(&task, &config, &ended, ATTEMPTS).await;
            };
            tokio::select! {
                () = all => {}
                _ = is_stopped.wait_for(|is_stopped| *is_stopped) => {
                    tracing::debug!(task, "a push notification is cancelled by the shutdown");
                }
            }
        });
        Follower(following.abort_handle())
    }
}

fn body(task: &Task, version: Version) -> Bytes {
    let body = to_bytes(&task.event(version));
    if body.len() <= MAX_TASK {
        return body;
    }
    to_bytes(&task.status.event(&task.ids, version))
}
