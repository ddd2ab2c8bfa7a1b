//! The configurations of all tasks, each with the follower that sends its notifications.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::task::AbortHandle;

use super::config::{PushConfig, invalid};
use crate::protocols::a2a::failure::A2aError;
use crate::runs::run::Run;

/// How many configurations a task may have.
const MAX_CONFIGS: usize = 10;

/// The configurations of all tasks.
#[derive(Default)]
pub(super) struct KeptConfigs(Mutex<HashMap<String, TaskConfigs>>);

struct TaskConfigs {
    /// The newest run of the task. The configurations are kept as long as this run.
    run: Weak<Run>,
    configs: Vec<KeptConfig>,
}

struct KeptConfig {
    config: Arc<PushConfig>,
    follower: Option<Follower>,
}

/// The tokio task that sends the notifications of a configuration about one run. Dropping this
/// value aborts the tokio task, so that a configuration has at most one such task, and a deleted or
/// replaced configuration has none.
pub(super) struct Follower(pub(super) AbortHandle);

impl Drop for Follower {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl KeptConfigs {
    fn tasks(&self) -> MutexGuard<'_, HashMap<String, TaskConfigs>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a task has configurations.
    pub(super) fn has(&self, task: &str) -> bool {
        self.tasks().contains_key(task)
    }

    /// Returns the configurations of a task.
    pub(super) fn of(&self, task: &str) -> Vec<Arc<PushConfig>> {
        let tasks = self.tasks();
        let configs = tasks.get(task).into_iter().flat_map(|task| &task.configs);
        configs.map(|kept| Arc::clone(&kept.config)).collect()
    }

    /// Fails if the task already has the maximum number of configurations, unless `config` replaces
    /// a configuration with the same id.
    pub(super) fn check_room(&self, task: &str, config: &PushConfig) -> Result<(), A2aError> {
        match self.tasks().get(task) {
            Some(task) => task.check_room(config),
            None => Ok(()),
        }
    }

    /// Keeps a configuration, in place of a configuration with the same id, and starts the follower
    /// that `follow` returns, if any.
    ///
    /// # Errors
    /// If the task already has the maximum number of configurations.
    pub(super) fn add(
        &self,
        task: &str,
        run: &Arc<Run>,
        config: Arc<PushConfig>,
        follow: impl FnOnce(&Arc<PushConfig>) -> Option<Follower>,
    ) -> Result<(), A2aError> {
        let mut tasks = self.tasks();
        tasks.retain(|_, task| task.run.strong_count() > 0);
        let task = tasks.entry(task.to_owned()).or_insert(TaskConfigs {
            run: Arc::downgrade(run),
            configs: Vec::new(),
        });
        task.check_room(&config)?;
        task.configs.retain(|kept| kept.config.id != config.id);
        let follower = follow(&config);
        task.configs.push(KeptConfig { config, follower });
        Ok(())
    }

    /// Restarts the followers of a task that has a new run, or that was cancelled after the end of
    /// its run.
    pub(super) fn follow(
        &self,
        task: &str,
        run: &Arc<Run>,
        follow: impl Fn(&Arc<PushConfig>) -> Follower,
    ) {
        if let Some(task) = self.tasks().get_mut(task) {
            task.run = Arc::downgrade(run);
            for kept in &mut task.configs {
                // The previous follower ends first.
                kept.follower = None;
                kept.follower = Some(follow(&kept.config));
            }
        }
    }

    /// Deletes a configuration, if there is one with the id.
    pub(super) fn remove(&self, task: &str, id: &str) {
        let mut tasks = self.tasks();
        if let Some(configs) = tasks.get_mut(task) {
            configs.configs.retain(|kept| kept.config.id != id);
            if configs.configs.is_empty() {
                tasks.remove(task);
            }
        }
    }
}

impl TaskConfigs {
    fn check_room(&self, config: &PushConfig) -> Result<(), A2aError> {
        let is_new = self.configs.iter().all(|kept| kept.config.id != config.id);
        if is_new && self.configs.len() >= MAX_CONFIGS {
            let text = format!("the task has {MAX_CONFIGS} configurations; delete one first");
            return Err(invalid(text));
        }
        Ok(())
    }
}
