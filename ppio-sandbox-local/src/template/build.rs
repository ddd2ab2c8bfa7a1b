//! Builds: from a request to a finished template, one task each.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use ppio_agent_protocol::{AgentConfig, TEMPLATE_METADATA_KEY};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;

use super::copy_tree::copy_tree;
use super::record::{Failure, Recipe};
use super::steps::{StepError, Workshop};
use super::{StoreError, TemplateStore};
use crate::isolation::{Enclosure, Limits};
use crate::sandbox::{Level, LogEntry, Logs, Registry, prepare_root};

pub(crate) use super::steps::Step;

/// Builds that run at once; others wait.
const PARALLEL_BUILDS: usize = 4;
/// Builds whose logs are remembered.
const MAX_LOGS: usize = 1000;

/// The field of a log line with the number of its step.
pub(crate) const STEP: &str = "step";

/// What a build starts from.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    /// The host's system. An image that was named is not pulled.
    Host {
        image: Option<String>,
    },
    Template(String),
}

#[derive(Debug)]
pub(crate) struct BuildRequest {
    pub(crate) source: Source,
    pub(crate) steps: Vec<Step>,
    pub(crate) start_command: Option<String>,
    pub(crate) ready_command: Option<String>,
    pub(crate) metadata: BTreeMap<String, String>,
}

/// What a build says about itself while it runs.
#[derive(Debug, Default)]
pub(crate) struct BuildLog {
    lines: Logs,
    /// The number of the step under way, 0 outside of all.
    step: AtomicUsize,
    progress: watch::Sender<Progress>,
}

/// Wakes those who follow a build.
#[derive(Debug, Default)]
struct Progress {
    lines: usize,
    over: bool,
}

impl BuildLog {
    /// Adds a line, which belongs to the step under way.
    pub(crate) fn push(&self, level: Level, message: impl Into<String>) {
        match self.step.load(Ordering::Relaxed) {
            0 => self.lines.push(level, message, &[]),
            step => self
                .lines
                .push(level, message, &[(STEP, &step.to_string())]),
        }
        self.progress.send_modify(|progress| progress.lines += 1);
    }

    pub(crate) fn snapshot(&self) -> Vec<LogEntry> {
        self.lines.snapshot()
    }

    /// From now on lines belong to this step, counted from 1, or to none.
    fn enter(&self, step: Option<usize>) {
        self.step.store(step.unwrap_or(0), Ordering::Relaxed);
    }
}

/// Tells followers that a build is over, also when its task is aborted.
struct Ending(Arc<BuildLog>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.progress.send_modify(|progress| progress.over = true);
    }
}

#[derive(Debug)]
pub(crate) struct Builder {
    templates: Arc<TemplateStore>,
    sandboxes: Arc<Registry>,
    turns: Arc<Semaphore>,
    logs: Mutex<HashMap<String, (SystemTime, Arc<BuildLog>)>>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

impl Builder {
    pub(crate) fn new(templates: Arc<TemplateStore>, sandboxes: Arc<Registry>) -> Self {
        Self {
            templates,
            sandboxes,
            turns: Arc::new(Semaphore::new(PARALLEL_BUILDS)),
            logs: Mutex::default(),
            tasks: Mutex::default(),
        }
    }

    /// The log of a build, made when there is none yet.
    pub(crate) fn log(&self, build_id: &str) -> Arc<BuildLog> {
        let mut logs = self.logs.lock().unwrap_or_else(PoisonError::into_inner);
        if logs.len() >= MAX_LOGS
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

    /// Starts a build that was requested before. It goes on in the background.
    pub(crate) fn start(
        &self,
        template_id: &str,
        build_id: &str,
        request: BuildRequest,
    ) -> Result<(), StoreError> {
        self.templates.begin(template_id, build_id)?;
        let job = Job {
            templates: Arc::clone(&self.templates),
            sandboxes: Arc::clone(&self.sandboxes),
            log: self.log(build_id),
            template_id: template_id.to_owned(),
            build_id: build_id.to_owned(),
        };
        let turns = Arc::clone(&self.turns);
        let ending = Ending(self.log(build_id));
        let task = tokio::spawn(async move {
            let _ending = ending;
            let Ok(_turn) = turns.acquire().await else {
                return;
            };
            job.run(request).await;
        });
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.retain(|task| !task.is_finished());
        tasks.push(task);
        Ok(())
    }

    /// Ends builds that run. What they made goes with the platform's run directory.
    pub(crate) async fn close(&self) {
        self.turns.close();
        let tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        for task in tasks {
            task.abort();
            let _ = task.await;
        }
    }
}

struct Job {
    templates: Arc<TemplateStore>,
    sandboxes: Arc<Registry>,
    log: Arc<BuildLog>,
    template_id: String,
    build_id: String,
}

impl Job {
    async fn run(&self, request: BuildRequest) {
        let staging = self
            .sandboxes
            .run_directory()
            .join(format!("build-{}", self.build_id));
        let outcome = self.build(&staging, request).await;
        self.log.enter(None);
        if let Err(error) = tokio::fs::remove_dir_all(&staging).await {
            tracing::warn!(%error, "failed to remove the directory of a build");
        }
        let stored = match outcome {
            Ok(()) => {
                self.log.push(Level::Info, "Build finished");
                Ok(())
            }
            Err(failure) => {
                self.log
                    .push(Level::Error, format!("Build failed: {}", failure.message));
                self.templates
                    .fail(&self.template_id, &self.build_id, failure)
            }
        };
        if let Err(error) = stored {
            tracing::warn!(%error, "failed to store the outcome of a build");
        }
    }

    async fn build(&self, staging: &Path, request: BuildRequest) -> Result<(), Failure> {
        let general = |error: &dyn std::fmt::Display| Failure {
            message: error.to_string(),
            step: None,
        };
        let recipe = self.prepare(staging, &request.source).await?;
        let mut workshop = Workshop {
            root: staging.join("root"),
            scratch: staging.to_owned(),
            template_directory: self.templates.path(&self.template_id),
            recipe,
            log: Arc::clone(&self.log),
        };
        let mut enclosure = None;
        let mut applied = Ok(());
        for (index, step) in request.steps.iter().enumerate() {
            self.log.enter(Some(index + 1));
            self.log.push(
                Level::Info,
                format!("[{}/{}] {step}", index + 1, request.steps.len()),
            );
            let outcome = match step {
                Step::Run { command, user } => {
                    self.run_step(&workshop, &mut enclosure, staging, command, user.as_deref())
                        .await
                }
                step => {
                    let step = step.clone();
                    // The workshop goes to a thread that may block on the disk, and comes back.
                    let applying = tokio::task::spawn_blocking(move || {
                        let outcome = workshop.apply(&step);
                        (workshop, outcome)
                    });
                    let outcome;
                    (workshop, outcome) = applying.await.map_err(|error| general(&error))?;
                    outcome
                }
            };
            if let Err(error) = outcome {
                applied = Err(Failure {
                    message: format!("{step}: {error}"),
                    step: Some((index + 1).to_string()),
                });
                break;
            }
        }
        if let Some(enclosure) = enclosure {
            enclosure.kill().await.map_err(|error| general(&error))?;
        }
        applied?;
        let mut recipe = workshop.recipe;
        recipe.start_command = request.start_command.or(recipe.start_command);
        recipe.ready_command = request.ready_command.or(recipe.ready_command);
        let mut metadata = request.metadata;
        self.read_agent_file(&staging.join("root"), &mut metadata);
        self.templates
            .finish(
                &self.template_id,
                &self.build_id,
                &staging.join("root"),
                recipe,
                metadata,
            )
            .map_err(|error| general(&error))
    }

    /// Takes the configuration of an agent from its `agent.yaml`, unless the request brought one.
    fn read_agent_file(&self, root: &Path, metadata: &mut BTreeMap<String, String>) {
        if metadata.contains_key(TEMPLATE_METADATA_KEY) {
            return;
        }
        let files = ["agent.yaml", "agent.yml"].map(|name| root.join("app").join(name));
        let Some(text) = files
            .iter()
            .find_map(|file| std::fs::read_to_string(file).ok())
        else {
            return;
        };
        match AgentConfig::from_yaml(&text).and_then(|config| config.to_json()) {
            Ok(document) => {
                metadata.insert(TEMPLATE_METADATA_KEY.to_owned(), document);
            }
            Err(error) => self
                .log
                .push(Level::Warn, format!("agent.yaml is left out: {error}")),
        }
    }

    /// Lays out what the build starts from.
    async fn prepare(&self, staging: &Path, source: &Source) -> Result<Recipe, Failure> {
        let general = |error: &dyn std::fmt::Display| Failure {
            message: error.to_string(),
            step: None,
        };
        let (base, recipe) = match source {
            Source::Host { image } => {
                if let Some(image) = image {
                    let message = format!(
                        "The image {image} is not pulled: the system of this machine is used instead"
                    );
                    self.log.push(Level::Warn, message);
                }
                (None, Recipe::default())
            }
            Source::Template(reference) => {
                let image = self
                    .templates
                    .image(reference)
                    .map_err(|error| general(&error))?;
                let recipe = Recipe {
                    environment: image.environment,
                    directory: image.directory,
                    user: image.user,
                    start_command: image.start_command,
                    ready_command: image.ready_command,
                };
                (image.root, recipe)
            }
        };
        let root = staging.join("root");
        let prepared = tokio::task::spawn_blocking(move || {
            std::fs::create_dir_all(&root)?;
            if let Some(base) = base {
                copy_tree(&base, &root)?;
            }
            prepare_root(&root)
        });
        prepared
            .await
            .map_err(|error| general(&error))?
            .map_err(|error| general(&error))?;
        Ok(recipe)
    }

    async fn run_step(
        &self,
        workshop: &Workshop,
        enclosure: &mut Option<Enclosure>,
        staging: &Path,
        command: &str,
        user: Option<&str>,
    ) -> Result<(), StepError> {
        let enclosure = if let Some(enclosure) = enclosure {
            enclosure
        } else {
            let registry = &self.sandboxes;
            let opened = Enclosure::open(
                registry.isolation(),
                staging.to_owned(),
                registry.cgroup(),
                Limits::default(),
            );
            enclosure.insert(opened.await?)
        };
        workshop.run(enclosure, command, user).await
    }
}

impl Builder {
    /// Hands on every line of a build's log until the build is over, however it ends.
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
