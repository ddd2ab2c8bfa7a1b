//! Runs builds, each as a task.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use futures_util::future::join_all;
use tokio::sync::{Semaphore, oneshot, watch};
use tokio::task::JoinHandle;

use super::build_log::BuildLogWriter;
use super::build_request::BuildRequest;
use super::job::{BuildJob, StopSignal};
use super::store::{StoreError, TemplateStore};
use crate::files::remove_directory;
use crate::sandbox::SandboxRegistry;

/// The maximum number of builds that run at the same time; further builds wait.
const PARALLEL_BUILDS: usize = 4;
/// The maximum number of builds whose logs are kept.
const MAX_LOGS: usize = 1000;
/// The longest time that a call that deletes a template waits for its files to be removed. After
/// this time, they are removed in the background.
const DELETE_ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// Marks the log of a build as complete when dropped, even if its task panics.
struct EndOnDrop(Arc<BuildLogWriter>);

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        self.0.progress.send_modify(|progress| progress.over = true);
    }
}

/// A build that was started.
#[derive(Debug)]
struct RunningBuild {
    template_id: String,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl RunningBuild {
    /// Stops the build. Returns when the processes of its steps and its files are gone. A sandbox
    /// that tries the start command may end later.
    async fn end(self) {
        self.stop.send_replace(true);
        if let Err(error) = self.task.await {
            tracing::warn!(%error, "a build panicked");
        }
    }
}

#[derive(Debug)]
pub(crate) struct TemplateBuilder {
    templates: Arc<TemplateStore>,
    sandboxes: Arc<SandboxRegistry>,
    turns: Arc<Semaphore>,
    logs: Mutex<HashMap<String, (SystemTime, Arc<BuildLogWriter>)>>,
    running: Mutex<Vec<RunningBuild>>,
    /// Deletions that still remove files.
    removals: Mutex<Vec<JoinHandle<()>>>,
}

impl TemplateBuilder {
    pub(crate) fn new(templates: Arc<TemplateStore>, sandboxes: Arc<SandboxRegistry>) -> Self {
        Self {
            templates,
            sandboxes,
            turns: Arc::new(Semaphore::new(PARALLEL_BUILDS)),
            logs: Mutex::default(),
            running: Mutex::default(),
            removals: Mutex::default(),
        }
    }

    /// Returns the log of a build, created when there is none.
    pub(crate) fn log(&self, build_id: &str) -> Arc<BuildLogWriter> {
        let mut logs = lock(&self.logs);
        if logs.len() >= MAX_LOGS
            && !logs.contains_key(build_id)
            && let Some(oldest) = logs
                .iter()
                .min_by_key(|(_, (time, _))| *time)
                .map(|(id, _)| id.clone())
        {
            logs.remove(&oldest);
        }
        let entry = logs
            .entry(build_id.to_owned())
            .or_insert_with(|| (SystemTime::now(), Arc::default()));
        Arc::clone(&entry.1)
    }

    /// Starts a build that was requested before. The build runs in the background.
    pub(crate) fn start(
        &self,
        template_id: &str,
        build_id: &str,
        mut request: BuildRequest,
    ) -> Result<(), StoreError> {
        // Held until the build is listed: a deletion finds either no template or the build.
        let mut running = lock(&self.running);
        let mut metadata = self.templates.begin(template_id, build_id)?;
        metadata.append(&mut request.metadata);
        request.metadata = metadata;
        let (stop, stopped) = watch::channel(false);
        let job = BuildJob {
            templates: Arc::clone(&self.templates),
            sandboxes: Arc::clone(&self.sandboxes),
            log: self.log(build_id),
            template_id: template_id.to_owned(),
            build_id: build_id.to_owned(),
            stop: StopSignal(stopped),
        };
        let turns = Arc::clone(&self.turns);
        let ending = EndOnDrop(self.log(build_id));
        let task = tokio::spawn(async move {
            let _ending = ending;
            let turn = tokio::select! {
                turn = turns.acquire() => turn.ok(),
                () = job.stop.wanted() => None,
            };
            match turn {
                Some(_turn) => job.run(request).await,
                None => job.stopped(),
            }
        });
        running.retain(|build| !build.task.is_finished());
        running.push(RunningBuild {
            template_id: template_id.to_owned(),
            stop,
            task,
        });
        Ok(())
    }

    /// Deletes a template and stops its builds. Files may still be removed after this returns.
    pub(crate) async fn delete(&self, id_or_name: &str) -> Result<(), StoreError> {
        let template_id = self.templates.forget(id_or_name)?;
        let of_template = |build: &mut RunningBuild| build.template_id == template_id;
        let builds: Vec<_> = lock(&self.running).extract_if(.., of_template).collect();
        let directory = self.templates.path(&template_id);
        let (sender, removed) = oneshot::channel();
        // Runs in its own task, which is not cancelled when the caller disconnects.
        let removal = tokio::spawn(async move {
            join_all(builds.into_iter().map(RunningBuild::end)).await;
            let outcome = remove_directory(&directory).await;
            if let Err(Err(error)) = sender.send(outcome) {
                tracing::warn!(%error, "failed to remove the files of a deleted template");
            }
        });
        {
            let mut removals = lock(&self.removals);
            removals.retain(|removal| !removal.is_finished());
            removals.push(removal);
        }
        match tokio::time::timeout(DELETE_ANSWER_TIMEOUT, removed).await {
            Ok(Ok(outcome)) => outcome.map_err(StoreError::Io),
            // The removal continues; after a crash, the next start removes files without a record.
            Ok(Err(_)) | Err(_) => Ok(()),
        }
    }

    /// Stops all builds. Returns when their files are gone.
    pub(crate) async fn close(&self) {
        self.turns.close();
        let builds = std::mem::take(&mut *lock(&self.running));
        let removals = std::mem::take(&mut *lock(&self.removals));
        join_all(builds.into_iter().map(RunningBuild::end)).await;
        for removal in removals {
            let _ = removal.await;
        }
    }

    /// Calls `on_log` with the lines of a build's log until the build ends. Lines after the first
    /// 10,000 are left out.
    pub(crate) async fn finished(&self, build_id: &str, on_log: &mut impl FnMut(&str)) {
        let log = self.log(build_id);
        let mut progress = log.progress.subscribe();
        let mut shown = 0;
        loop {
            let over = progress.borrow_and_update().over;
            for entry in log.snapshot().iter().skip(shown) {
                on_log(&entry.message);
                shown += 1;
            }
            if over || progress.changed().await.is_err() {
                return;
            }
        }
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
