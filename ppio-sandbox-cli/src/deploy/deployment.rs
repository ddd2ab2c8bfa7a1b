//! A packed project, and its upload and build as a template of the platform.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ppio_agent_client::platform::{
    BuildPhase, BuildStep, BuildTicket, NewBuild, NewTemplate, StepKind,
};
use tokio::time::{Instant, sleep, timeout};

use super::build_log::{BuildLogPrinter, dockerfile_line};
use super::bundle::{ARCHIVE_ROOT, Archive, LEAVE_OUT_HELP};
use super::event::DeployEvent;
use super::program::{AGENT_FOLDER, AgentProgram, step};
use crate::error::{CliError, ExitKind};
use crate::platform::Platform;
use crate::terminal::Terminal;

/// The template that agents are built from: the platform's own, with a shell and Python.
const BASE_TEMPLATE: &str = "base";
/// The tag of a template name without a tag.
const DEFAULT_TAG: &str = "default";
/// The longest tag that the platform accepts, in characters.
const MAX_TAG_CHARS: usize = 128;
/// The HTTP status with which a platform refuses files that are too large.
const TOO_LARGE: u16 = 413;
const BUILD_TIMEOUT: Duration = Duration::from_secs(60 * 60);
/// The pause between two requests for the state of a build: its shortest and its longest duration.
const POLL_INTERVALS: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));
/// The pause between two `uploading` events.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(500);

/// A deployment ready for a platform.
#[derive(Debug)]
pub(super) struct Deployment {
    /// The name of the agent and of its template.
    pub(super) name: String,
    /// The version of the agent; [`tag`](Self::tag) is the tag of the build.
    pub(super) version: String,
    pub(super) cpu_count: Option<u32>,
    pub(super) memory_mb: Option<u64>,
    pub(super) metadata: BTreeMap<String, String>,
    pub(super) variables: Vec<(String, String)>,
    pub(super) program: AgentProgram,
    pub(super) archive: Archive,
}

impl Deployment {
    /// Creates the template, or the next build of it. The build starts with [`build`](Self::build).
    pub(super) async fn create_template(
        &self,
        platform: &Platform,
    ) -> Result<BuildTicket, CliError> {
        let template = NewTemplate {
            name: format!("{}:{}", self.name, self.tag()),
            tags: vec![DEFAULT_TAG.to_owned()],
            cpu_count: self.cpu_count,
            memory_mb: self.memory_mb,
            // Some platforms read the metadata from this call, others from the call that starts the
            // build.
            metadata: self.metadata.clone(),
        };
        let ticket = platform.client().platform().create_template(&template);
        ticket.await.map_err(|error| {
            platform.error(format!("cannot create the template {}", self.name), &error)
        })
    }

    /// Uploads the files, starts the build and waits for its end. A build that fails is an error.
    pub(super) async fn build(
        &self,
        ticket: &BuildTicket,
        platform: &Platform,
        terminal: &Terminal,
    ) -> Result<(), CliError> {
        self.upload(ticket, platform, terminal).await?;
        let steps = self.steps();
        let build = NewBuild {
            from_template: Some(BASE_TEMPLATE.to_owned()),
            steps: steps.clone(),
            start_cmd: self.program.start_command(),
            ready_cmd: self.program.ready_command(),
            metadata: self.metadata.clone(),
            ..NewBuild::default()
        };
        let (template_id, build_id) = (&ticket.template_id, &ticket.build_id);
        platform
            .client()
            .platform()
            .start_build(template_id, build_id, &build)
            .await
            .map_err(|error| platform.error("cannot start the build", &error))?;
        terminal.event(&DeployEvent::Building {
            steps: steps.iter().map(dockerfile_line).collect(),
        });
        self.follow_build(ticket, &steps, platform, terminal).await
    }

    /// Returns the version as a valid tag: `1.0.0+7` becomes `1.0.0-7`. A tag begins with a letter
    /// or a digit, otherwise a `v` is put in front. Characters beyond the limit are cut off.
    pub(super) fn tag(&self) -> String {
        let version = self.version.chars();
        let tag: String = version
            .map(|c| match c {
                c if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') => c,
                _ => '-',
            })
            .take(MAX_TAG_CHARS)
            .collect();
        if tag.starts_with(|c: char| c.is_ascii_alphanumeric()) {
            tag
        } else {
            format!("v{tag}").chars().take(MAX_TAG_CHARS).collect()
        }
    }

    pub(super) fn tags(&self) -> [String; 2] {
        [self.tag(), DEFAULT_TAG.to_owned()]
    }

    /// Returns the variables of the agent.
    pub(super) fn environment(&self) -> impl Iterator<Item = (&str, &str)> {
        let is_set = |name: &str| self.variables.iter().any(|(set, _)| set == name);
        let defaults = self.program.default_variables().iter();
        let defaults = defaults.filter(move |(name, _)| !is_set(name));
        let given = self.variables.iter();
        let given = given.map(|(name, value)| (name.as_str(), value.as_str()));
        defaults.copied().chain(given)
    }

    async fn upload(
        &self,
        ticket: &BuildTicket,
        platform: &Platform,
        terminal: &Terminal,
    ) -> Result<(), CliError> {
        let failed = |error| platform.error("cannot upload the project's files", &error);
        let control_plane = platform.client().platform();
        let upload = control_plane
            .file_upload(&ticket.template_id, &self.archive.hash)
            .await
            .map_err(failed)?;
        let (archive, count) = (&self.archive.bytes, self.archive.files);
        let bytes = archive.len() as u64;
        let files = match count {
            1 => "1 file".to_owned(),
            count => format!("{count} files"),
        };
        let uploaded = |reused| DeployEvent::Uploaded {
            files: count,
            bytes,
            reused,
        };
        let size = size(archive.len());
        let Some(url) = upload.url.filter(|_| !upload.present) else {
            terminal.event(&uploaded(true));
            terminal.note(&format!("reused {files} of an earlier upload ({size})"));
            return Ok(());
        };
        let progress = terminal.transfer(format!("uploading {files}"), bytes);
        let sent = Arc::new(AtomicU64::new(0));
        let (set_position, counter) = (progress.position_setter(), Arc::clone(&sent));
        let on_sent = move |bytes| {
            set_position(bytes);
            counter.store(bytes, Ordering::Relaxed);
        };
        let upload = control_plane.upload_files_with_progress(&url, archive.clone(), on_sent);
        let mut upload = std::pin::pin!(upload);
        let outcome = loop {
            terminal.event(&DeployEvent::Uploading {
                files: count,
                bytes,
                sent: sent.load(Ordering::Relaxed),
            });
            if let Ok(outcome) = timeout(PROGRESS_INTERVAL, &mut upload).await {
                break outcome;
            }
        };
        drop(progress);
        outcome.map_err(|error| {
            let is_too_large = error.status() == Some(TOO_LARGE);
            let mut error = failed(error);
            if is_too_large {
                error.causes.extend(self.archive.sizes.largest());
                error.help = Some(LEAVE_OUT_HELP.to_owned());
            }
            error
        })?;
        terminal.event(&uploaded(false));
        terminal.note(&format!("uploaded {files} ({size})"));
        Ok(())
    }

    fn steps(&self) -> Vec<BuildStep> {
        let mut steps = vec![
            step(StepKind::Workdir, [AGENT_FOLDER]),
            BuildStep {
                files_hash: Some(self.archive.hash.clone()),
                ..step(StepKind::Copy, [ARCHIVE_ROOT, AGENT_FOLDER])
            },
        ];
        let variables = self.environment();
        let variables: Vec<_> = variables.flat_map(|(name, value)| [name, value]).collect();
        if !variables.is_empty() {
            steps.push(step(StepKind::Env, variables));
        }
        steps.extend(self.program.steps());
        steps
    }

    /// Prints the log of the build until the build ends.
    async fn follow_build(
        &self,
        ticket: &BuildTicket,
        steps: &[BuildStep],
        platform: &Platform,
        terminal: &Terminal,
    ) -> Result<(), CliError> {
        let started = Instant::now();
        let progress = terminal.spinner(format!("building {}", self.name));
        let mut log = BuildLogPrinter::default();
        let mut pause = POLL_INTERVALS.0;
        loop {
            let status = platform
                .client()
                .platform()
                .build_status(&ticket.template_id, &ticket.build_id, log.printed)
                .await
                .map_err(|error| platform.error("cannot follow the build", &error))?;
            let is_quiet = !log.print(&status, steps, &progress, terminal);
            match &status.status {
                // One answer holds a limited number of lines, so further answers are requested
                // until no lines are left.
                BuildPhase::Ready | BuildPhase::Error if !is_quiet => {}
                BuildPhase::Ready => return Ok(()),
                BuildPhase::Error => {
                    return Err(log.build_error(&self.name, status.reason, steps));
                }
                _ if platform.has_ended() => {
                    let message = "the local platform was stopped during the build";
                    return Err(CliError::new(ExitKind::Platform, message).help("deploy again"));
                }
                _ if started.elapsed() > BUILD_TIMEOUT => {
                    let minutes = BUILD_TIMEOUT.as_secs() / 60;
                    let message = format!("the build is not ready after {minutes} min");
                    return Err(CliError::new(ExitKind::Platform, message)
                        .field("build_id", &ticket.build_id)
                        .help("deploy again; if that does not help, ask the platform's support"));
                }
                _ => {}
            }
            pause = if is_quiet {
                (pause * 2).min(POLL_INTERVALS.1)
            } else {
                POLL_INTERVALS.0
            };
            sleep(pause).await;
        }
    }
}

fn size(bytes: usize) -> String {
    match bytes {
        0..1024 => format!("{bytes} bytes"),
        1024..1_048_576 => format!("{} KiB", bytes.div_ceil(1024)),
        _ => {
            // Tenths, rounded up, in whole numbers: floating point would lose digits.
            let tenths = (bytes * 10).div_ceil(1_048_576);
            format!("{}.{} MiB", tenths / 10, tenths % 10)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deploy::python_packages::PythonPackages;

    fn deployment(version: &str) -> Deployment {
        Deployment {
            name: "a".into(),
            version: version.into(),
            cpu_count: None,
            memory_mb: None,
            metadata: BTreeMap::new(),
            variables: vec![("KEY".into(), "secret".into())],
            program: AgentProgram::Binary("a".into()),
            archive: Archive {
                hash: "0".into(),
                ..Archive::default()
            },
        }
    }

    #[test]
    fn versions_become_tags() {
        for (version, tag) in [
            ("1.0.0", "1.0.0"),
            ("1.0.0+build 7", "1.0.0-build-7"),
            ("-rc", "v-rc"),
            ("日", "v-"),
        ] {
            assert_eq!(deployment(version).tag(), tag);
        }
        assert_eq!(deployment(&"9".repeat(500)).tag().len(), 128);
    }

    #[test]
    fn binaries_get_default_variables_that_the_author_can_override() {
        let variables = |deployment: &Deployment| {
            let steps = deployment.steps();
            let env = steps.iter().find(|step| step.kind == StepKind::Env);
            env.map(|env| env.args.clone()).unwrap_or_default()
        };
        let (log, cors) = ("PPIO_AGENT_DEFAULT_LOG", "PPIO_AGENT_DEFAULT_CORS_ORIGINS");
        let mut deployment = deployment("1");
        assert_eq!(
            variables(&deployment),
            [log, "info", cors, "*", "KEY", "secret"]
        );
        deployment.variables = vec![(log.into(), "off".into())];
        assert_eq!(variables(&deployment), [cors, "*", log, "off"]);
        deployment.variables = vec![(cors.into(), "https://a.example".into())];
        assert_eq!(
            variables(&deployment),
            [log, "info", cors, "https://a.example"]
        );
        deployment.variables.clear();
        deployment.program = AgentProgram::PythonScript {
            file: "agent.py".into(),
            packages: PythonPackages::None,
        };
        assert_eq!(variables(&deployment), [""; 0]);
    }
}
