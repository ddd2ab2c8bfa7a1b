//! Push notifications: the state of a task is sent to the URLs that its caller has configured.
//!
//! A configuration is kept in memory as long as its task. Each one has a task of its own per run
//! (`PushNotifications::follow`), which waits for the end of the run and reads its answer afterwards,
//! so that no receiver slows a run. A notification has the whole task: one as it begins to work, one
//! as it ends or needs an input.

mod config;
mod delivery;
mod operations;
mod target;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use bytes::Bytes;
use tokio::sync::watch;

pub(super) use self::config::PushConfig;
use self::delivery::{ATTEMPTS, Delivery};
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

/// How many configurations a task may have.
const MAX_CONFIGS: usize = 10;

/// The largest task that is sent whole; of a larger one the status is sent alone.
const MAX_TASK: usize = 1 << 20;

/// The configurations of all tasks.
pub(crate) struct PushNotifications {
    delivery: Delivery,
    tasks: Mutex<HashMap<String, TaskConfigs>>,
    /// Whether no further notification is sent, because the agent has shut down.
    is_stopped: watch::Sender<bool>,
}

struct TaskConfigs {
    /// The newest run of the task. When it is no longer kept, the configurations are not either.
    run: Weak<Run>,
    configs: Vec<Arc<PushConfig>>,
}

/// What the answer of a run is read with after its request.
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

impl FollowedRun {
    async fn task(&self) -> Task {
        task::of_run(&self.reading.invoker, &self.reading.exchange, &self.run).await
    }
}

impl PushNotifications {
    pub(crate) fn new(allows_private: bool) -> Arc<Self> {
        Arc::new(Self {
            delivery: Delivery::new(allows_private),
            tasks: Mutex::default(),
            is_stopped: watch::Sender::new(false),
        })
    }

    pub(super) fn allows_private(&self) -> bool {
        self.delivery.allows_private
    }

    /// Ends the notifications that have not been acknowledged.
    pub(crate) fn stop(&self) {
        self.is_stopped.send_replace(true);
    }

    fn tasks(&self) -> MutexGuard<'_, HashMap<String, TaskConfigs>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn configs(&self, task: &str) -> Vec<Arc<PushConfig>> {
        let tasks = self.tasks();
        tasks
            .get(task)
            .map_or(Vec::new(), |task| task.configs.clone())
    }

    /// Refuses a configuration that is one too many. One with the same id is replaced.
    pub(super) fn check_room(&self, task: &str, config: &PushConfig) -> Result<(), A2aError> {
        let configs = self.configs(task);
        let is_new = configs.iter().all(|known| known.id != config.id);
        if is_new && configs.len() >= MAX_CONFIGS {
            let text = format!("the task has {MAX_CONFIGS} configurations; delete one first");
            return Err(config::invalid(text));
        }
        Ok(())
    }

    /// Whether runs of the task have to be followed.
    pub(super) fn has_configs(&self, task: &str) -> bool {
        self.tasks().contains_key(task)
    }

    /// Keeps a configuration, in place of one with the same id.
    fn add(&self, task: &str, run: &Arc<Run>, config: Arc<PushConfig>) {
        let mut tasks = self.tasks();
        tasks.retain(|_, task| task.run.strong_count() > 0);
        let task = tasks.entry(task.to_owned()).or_insert(TaskConfigs {
            run: Arc::downgrade(run),
            configs: Vec::new(),
        });
        task.configs.retain(|known| known.id != config.id);
        task.configs.push(config);
    }

    fn remove(&self, task: &str, id: &str) {
        let mut tasks = self.tasks();
        if let Some(configs) = tasks.get_mut(task) {
            configs.configs.retain(|config| config.id != id);
            if configs.configs.is_empty() {
                tasks.remove(task);
            }
        }
    }

    /// Whether a configuration was neither deleted nor replaced.
    fn is_kept(&self, task: &str, config: &Arc<PushConfig>) -> bool {
        let configs = self.configs(task);
        configs.iter().any(|kept| Arc::ptr_eq(kept, config))
    }

    /// Sends notifications about a run of a task that has just started.
    pub(super) fn started(
        self: &Arc<Self>,
        task: &str,
        followed: &FollowedRun,
        config: Option<Arc<PushConfig>>,
    ) {
        if let Some(config) = config {
            self.add(task, &followed.run, config);
        }
        if let Some(task) = self.tasks().get_mut(task) {
            task.run = Arc::downgrade(&followed.run);
        }
        for config in self.configs(task) {
            self.follow(task.to_owned(), config, followed.clone(), true);
        }
    }

    /// Sends notifications about a task that was cancelled after the end of its run.
    pub(super) fn withdrawn(self: &Arc<Self>, task: &str, followed: &FollowedRun) {
        for config in self.configs(task) {
            self.follow(task.to_owned(), config, followed.clone(), false);
        }
    }

    /// Keeps a configuration of a task that exists, and sends notifications about what happens next.
    fn configure(self: &Arc<Self>, task: &str, followed: FollowedRun, config: PushConfig) {
        let config = Arc::new(config);
        self.add(task, &followed.run, Arc::clone(&config));
        if !followed.run.status().is_ended() {
            self.follow(task.to_owned(), config, followed, false);
        }
    }

    /// Sends notifications about a run to one receiver, from its start or only about its end.
    fn follow(
        self: &Arc<Self>,
        task: String,
        config: Arc<PushConfig>,
        followed: FollowedRun,
        from_start: bool,
    ) {
        let push = Arc::clone(self);
        let mut is_stopped = push.is_stopped.subscribe();
        let runs = &followed.reading.runs;
        // A shutdown waits for it within its grace.
        let running = runs.tasks().start("push notifications", None);
        let counted = runs.inspected_tasks().count_own();
        tokio::spawn(async move {
            let _kept = (running, counted);
            let all = async {
                // Its end follows in any case, so one attempt is enough.
                let begun = followed.task().await;
                if from_start && begun.status.state == TaskState::Working {
                    push.notify(&config, &begun, 1).await;
                }
                followed.run.end_recorded().await;
                push.notify(&config, &followed.task().await, ATTEMPTS).await;
            };
            tokio::select! {
                () = all => {}
                _ = is_stopped.wait_for(|is_stopped| *is_stopped) => {
                    tracing::debug!(task, "a push notification ends with the agent");
                }
            }
        });
    }

    async fn notify(&self, config: &Arc<PushConfig>, task: &Task, attempts: u32) {
        let body = body(task, config.version);
        let id = &task.ids.task;
        let is_wanted = || self.is_kept(id, config);
        let delivery = &self.delivery;
        delivery
            .deliver(id, config, &body, attempts, is_wanted)
            .await;
    }
}

fn body(task: &Task, version: Version) -> Bytes {
    let body = to_bytes(&task.event(version));
    if body.len() <= MAX_TASK {
        return body;
    }
    to_bytes(&task.status.event(&task.ids, version))
}
