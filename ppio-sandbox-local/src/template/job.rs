//! Runs one build: prepares its directory, runs its steps, stores the template.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ppio_agent_protocol::{AgentConfig, TEMPLATE_METADATA_KEY};
use tokio::sync::watch;

use super::build_log::BuildLogWriter;
use super::build_request::{BuildRequest, BuildSource};
use super::record::{BuildFailure, Recipe};
use super::step::TemplateStep;
use super::step_runner::{StepError, StepRunner};
use super::store::{StoreError, TemplateStore};
use crate::error::with_sources;
use crate::files::{LastLink, confine, copy_tree, remove_directory};
use crate::isolation::{
    SandboxLimits, SandboxProcesses, SandboxUser, prepare_directory, prepare_root,
};
use crate::sandbox::{
    CreateError, OnTimeout, SandboxIngress, SandboxLogLevel, SandboxRegistry, SandboxRequest,
    TemplateImage,
};

/// The timeout of the sandbox that tries a start command; the sandbox is ended as soon as the start
/// command is ready.
const TRIAL_TIMEOUT: Duration = Duration::from_secs(600);
/// The largest `agent.yaml` that is read, in bytes.
const MAX_AGENT_FILE: u64 = 1024 * 1024;

/// A build that was started.
pub(super) struct BuildJob {
    pub(super) templates: Arc<TemplateStore>,
    pub(super) sandboxes: Arc<SandboxRegistry>,
    pub(super) log: Arc<BuildLogWriter>,
    pub(super) template_id: String,
    pub(super) build_id: String,
    pub(super) stop: StopSignal,
}

/// The signal that stops a build: the value is true, or the sender was dropped, once the build has
/// to stop.
#[derive(Clone)]
pub(super) struct StopSignal(pub(super) watch::Receiver<bool>);

impl StopSignal {
    /// Returns once the build has to stop.
    pub(super) async fn wanted(&self) {
        let _ = self.0.clone().wait_for(|stop| *stop).await;
    }

    fn is_wanted(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err()
    }
}

/// The reason why a build did not finish.
enum UnfinishedBuild {
    Failed(BuildFailure),
    Stopped,
}

impl UnfinishedBuild {
    fn general(error: &(dyn std::error::Error + 'static)) -> Self {
        Self::Failed(BuildFailure {
            message: with_sources(error),
            step: None,
        })
    }
}

impl BuildJob {
    /// Runs the build and stores its outcome. The directory of the build is removed when this
    /// returns.
    pub(super) async fn run(&self, request: BuildRequest) {
        let staging = self
            .sandboxes
            .run_directory()
            .join(format!("build-{}", self.build_id));
        let outcome = self.build(&staging, request).await;
        self.log.enter(None);
        if let Err(error) = remove_directory(&staging).await {
            tracing::warn!(%error, "failed to remove the directory of a build");
        }
        match outcome {
            Ok(()) => {}
            Err(UnfinishedBuild::Failed(failure)) => self.fail(failure),
            Err(UnfinishedBuild::Stopped) => self.stopped(),
        }
    }

    /// Stores that the build was stopped.
    pub(super) fn stopped(&self) {
        self.fail(BuildFailure {
            message: "the build was stopped: the platform ended, or the template was deleted"
                .into(),
            step: None,
        });
    }

    fn fail(&self, failure: BuildFailure) {
        let message = format!("Build failed: {}", failure.message);
        self.log.push(SandboxLogLevel::Error, message);
        match self
            .templates
            .fail(&self.template_id, &self.build_id, failure)
        {
            // A template that was deleted has no builds that could fail.
            Ok(()) | Err(StoreError::NoTemplate(_)) => {}
            Err(error) => tracing::warn!(
                error = with_sources(&error),
                "failed to store the outcome of a build"
            ),
        }
    }

    async fn build(&self, staging: &Path, request: BuildRequest) -> Result<(), UnfinishedBuild> {
        let sandbox_user = self.sandboxes.users().take();
        let sandbox_user = sandbox_user.map_err(|error| UnfinishedBuild::general(&error))?;
        let recipe = self
            .prepare(staging, &request.source, &sandbox_user)
            .await?;
        let mut runner = StepRunner {
            root: staging.join("root"),
            scratch: staging.to_owned(),
            template_directory: self.templates.path(&self.template_id),
            recipe,
            log: Arc::clone(&self.log),
        };
        let mut sandbox_processes = None;
        let mut applied = Ok(());
        for (index, step) in request.steps.iter().enumerate() {
            if self.stop.is_wanted() {
                applied = Err(UnfinishedBuild::Stopped);
                break;
            }
            self.log.enter(Some(index + 1));
            self.log.push(
                SandboxLogLevel::Info,
                format!("[{}/{}] {step}", index + 1, request.steps.len()),
            );
            let outcome = match step {
                TemplateStep::Run { command, user } => {
                    let (place, name) = ((staging, &sandbox_user), user.as_deref());
                    let running =
                        self.run_step(&runner, &mut sandbox_processes, place, command, name);
                    let Some(outcome) = running.await else {
                        applied = Err(UnfinishedBuild::Stopped);
                        break;
                    };
                    outcome
                }
                step => {
                    // Processes that a command left running end before a step of another kind.
                    if let Some(sandbox_processes) = sandbox_processes.take() {
                        let killed = sandbox_processes.kill().await;
                        killed.map_err(|error| UnfinishedBuild::general(&error))?;
                    }
                    let step = step.clone();
                    // `runner` moves to a thread that may block, and back.
                    let applying = tokio::task::spawn_blocking(move || {
                        let outcome = runner.apply(&step);
                        (runner, outcome)
                    });
                    let outcome;
                    (runner, outcome) = applying
                        .await
                        .map_err(|error| UnfinishedBuild::general(&error))?;
                    outcome
                }
            };
            if let Err(error) = outcome {
                applied = Err(UnfinishedBuild::Failed(BuildFailure {
                    message: format!("{step}: {}", with_sources(&error)),
                    step: Some((index + 1).to_string()),
                }));
                break;
            }
        }
        if let Some(sandbox_processes) = sandbox_processes {
            sandbox_processes
                .kill()
                .await
                .map_err(|error| UnfinishedBuild::general(&error))?;
        }
        applied?;
        let mut recipe = runner.recipe;
        recipe.start_command = request.start_command.or(recipe.start_command);
        recipe.ready_command = request.ready_command.or(recipe.ready_command);
        self.log.enter(None);
        self.try_start_command(staging, &recipe).await?;
        let mut metadata = request.metadata;
        self.read_agent_file(&staging.join("root"), &mut metadata);
        // Logged before the status changes, because clients read no more of the log then.
        self.log.push(SandboxLogLevel::Info, "Build finished");
        self.templates
            .finish(
                &self.template_id,
                &self.build_id,
                &staging.join("root"),
                recipe,
                metadata,
            )
            .map_err(|error| UnfinishedBuild::general(&error))
    }

    /// Runs the start command in a sandbox of its own until the ready command succeeds. Does
    /// nothing without a start command, and nothing without a ready command, because then nothing
    /// shows whether the start command has worked.
    async fn try_start_command(
        &self,
        staging: &Path,
        recipe: &Recipe,
    ) -> Result<(), UnfinishedBuild> {
        let (Some(command), Some(_)) = (&recipe.start_command, &recipe.ready_command) else {
            return Ok(());
        };
        self.log
            .push(SandboxLogLevel::Info, format!("[start] {command}"));
        let spec = SandboxRequest {
            prepare_next: false,
            template: TemplateImage {
                template_id: self.template_id.clone(),
                alias: None,
                root: Some(staging.join("root")),
                cpu_count: 0,
                memory_mb: 0,
                environment: recipe.environment.clone(),
                directory: recipe.directory.clone(),
                user: recipe.user.clone(),
                start_command: recipe.start_command.clone(),
                ready_command: recipe.ready_command.clone(),
            },
            timeout: TRIAL_TIMEOUT,
            on_timeout: OnTimeout::Kill,
            auto_resume: false,
            metadata: BTreeMap::new(),
            environment: BTreeMap::new(),
            ingress: SandboxIngress::default(),
            network: self.sandboxes.networks().with_internet(),
        };
        let trial = Arc::clone(&self.sandboxes);
        // Runs in its own task: a stop does not wait for this task, and the sandbox is ended in any
        // case.
        let trial = tokio::spawn(async move {
            let sandbox = trial.create(spec).await?;
            trial.kill(&sandbox.id).await.map_err(CreateError::Files)?;
            Ok::<_, CreateError>(())
        });
        let outcome = tokio::select! {
            outcome = trial => outcome,
            () = self.stop.wanted() => return Err(UnfinishedBuild::Stopped),
        };
        match outcome {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(UnfinishedBuild::general(&error)),
            Err(error) => Err(UnfinishedBuild::general(&error)),
        }
    }

    /// Reads the configuration of an agent from `/app/agent.yaml` or `/app/agent.yml`, unless the
    /// request has a configuration.
    fn read_agent_file(&self, root: &Path, metadata: &mut BTreeMap<String, String>) {
        if metadata.contains_key(TEMPLATE_METADATA_KEY) {
            return;
        }
        let read = |name: &'static str| {
            let file = confine(root, "/app", name, LastLink::Follow).ok()?.open();
            let mut text = String::new();
            let limited = &mut file.ok()?.take(MAX_AGENT_FILE + 1);
            limited.read_to_string(&mut text).ok()?;
            Some((name, text))
        };
        let Some((name, text)) = ["agent.yaml", "agent.yml"].into_iter().find_map(read) else {
            return;
        };
        if text.len() as u64 > MAX_AGENT_FILE {
            let message =
                format!("{name} is left out: the file is larger than {MAX_AGENT_FILE} bytes");
            self.log.push(SandboxLogLevel::Warn, message);
            return;
        }
        match AgentConfig::from_yaml(&text).and_then(|config| config.to_json()) {
            Ok(document) => {
                metadata.insert(TEMPLATE_METADATA_KEY.to_owned(), document);
            }
            Err(error) => self.log.push(
                SandboxLogLevel::Warn,
                format!("{name} is left out: {error}"),
            ),
        }
    }

    /// Prepares the directory of the build from its source.
    async fn prepare(
        &self,
        staging: &Path,
        source: &BuildSource,
        user: &SandboxUser,
    ) -> Result<Recipe, UnfinishedBuild> {
        let (base, recipe) = match source {
            BuildSource::Host { image } => {
                if let Some(image) = image {
                    let message = format!(
                        "The image {image} is not pulled: the system of this machine is used \
                         instead"
                    );
                    self.log.push(SandboxLogLevel::Warn, message);
                }
                (None, Recipe::default())
            }
            BuildSource::Template(reference) => {
                let image = self
                    .templates
                    .image(reference)
                    .map_err(|error| UnfinishedBuild::general(&error))?;
                (image.root.clone(), Recipe::from(image))
            }
        };
        let (staging, user) = (staging.to_owned(), user.clone());
        let prepared = tokio::task::spawn_blocking(move || {
            prepare_directory(&staging, &user)?;
            let root = staging.join("root");
            if let Some(base) = base {
                copy_tree(&base, &root)?;
            }
            prepare_root(&root, user.owner())
        });
        prepared
            .await
            .map_err(|error| UnfinishedBuild::general(&error))?
            .map_err(|error| UnfinishedBuild::general(&error))?;
        Ok(recipe)
    }

    /// Runs a command in the sandbox of the build, which the first command starts. `None` when the
    /// build has to stop; the command then ends with the sandbox.
    async fn run_step(
        &self,
        runner: &StepRunner,
        sandbox_processes: &mut Option<SandboxProcesses>,
        (staging, sandbox_user): (&Path, &SandboxUser),
        command: &str,
        user: Option<&str>,
    ) -> Option<Result<(), StepError>> {
        let sandbox_processes = if let Some(sandbox_processes) = sandbox_processes {
            sandbox_processes
        } else {
            let registry = &self.sandboxes;
            // Earlier commands may have replaced mount points by links.
            if let Err(error) = prepare_root(&runner.root, sandbox_user.owner()) {
                return Some(Err(error.into()));
            }
            // Not cancelled by a stop: a sandbox that is starting has to be ended.
            let opened = SandboxProcesses::open(
                registry.isolation(),
                staging.to_owned(),
                registry.cgroup(),
                SandboxLimits::default(),
                registry.networks().with_internet(),
                sandbox_user.clone(),
            );
            match opened.await {
                Ok(opened) => sandbox_processes.insert(opened),
                Err(error) => return Some(Err(error.into())),
            }
        };
        tokio::select! {
            outcome = runner.run(sandbox_processes, command, user) => Some(outcome),
            () = self.stop.wanted() => None,
        }
    }
}
