//! From a packed project to a template that sessions are made from.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ppio_agent_client::platform::{
    BuildLog, BuildPhase, BuildReason, BuildStatus, BuildStep, BuildTicket, NewBuild, NewTemplate,
    StepKind,
};
use serde_json::json;
use tokio::time::{Instant, sleep, timeout};

use crate::deploy::bundle::{self, Archive};
use crate::deploy::event::{DeployEvent, LogLine};
use crate::error::{Failure, Fault};
use crate::platform::Platform;
use crate::terminal::{Progress, Terminal};

/// What every template of an agent begins with: the platform's own, which has a shell and Python.
const BASE: &str = "base";
/// The tag that a name without one means.
const DEFAULT_TAG: &str = "default";
/// Where the agent lives in its sandboxes.
pub(crate) const HOME: &str = "/app";
/// Of an agent whose author says nothing about its log: a line for each invocation, which the runtime by itself does not
/// write, for the sake of its speed. What the author says in code, with `PPIO_AGENT_LOG` or with `RUST_LOG` comes first.
const DEFAULT_LOG: (&str, &str) = ("PPIO_AGENT_DEFAULT_LOG", "info");
/// Lets pages of every origin call a deployed agent. The runtime by itself allows only pages of the agent's own host and
/// of the machine that it runs on, which protects agents under development and would shut out every user of a deployed one.
/// Stated here, in the open, so that `--env` can say otherwise.
const CORS_ORIGINS: (&str, &str) = ("PPIO_AGENT_CORS_ORIGINS", "*");
/// Puts the packages beside the agent, where Python looks first: that holds for every user and without any variable.
/// Asks no network when all is there already, which is when pip has nothing that it would install; what else is
/// installed, and by whom, does not matter to the agent.
const INSTALL: &str = "\
    lacks=$(python -m pip install --dry-run --no-index -r requirements.txt 2>/dev/null) && \
    case $lacks in *'Would install'*) false;; esac || \
    PIP_ROOT_USER_ACTION=ignore PIP_DISABLE_PIP_VERSION_CHECK=1 \
    python -m pip install --no-cache-dir --no-warn-conflicts --target /app -r requirements.txt";
/// A build may take this long.
const LIMIT: Duration = Duration::from_secs(60 * 60);
/// Between two looks at a build, growing from the first to the second.
const POLL: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));
/// How often a program is told how far an upload is.
const REPORT: Duration = Duration::from_millis(500);
/// The most characters of a step that stand in a headline.
const HEADLINE: usize = 80;
/// How many lines of a failed build are shown again.
const LAST_LINES: usize = 15;

/// What is deployed.
#[derive(Debug)]
pub(crate) struct Deployment {
    /// The agent's name, which is the template's.
    pub(crate) name: String,
    /// The agent's version, which is the build's tag.
    pub(crate) version: String,
    pub(crate) cpu_count: Option<u32>,
    pub(crate) memory_mb: Option<u64>,
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) variables: Vec<(String, String)>,
    pub(crate) launch: Launch,
    pub(crate) archive: Archive,
}

/// How the agent starts in a sandbox.
#[derive(Debug)]
pub(crate) enum Launch {
    /// With the sandbox: a program in [`HOME`].
    Program(String),
    /// By the caller, as clients do with Python agents.
    Python { file: String, requirements: bool },
}

impl Deployment {
    /// Makes the template, or the next build of it. Nothing runs on the platform before [`build`](Self::build).
    pub(crate) async fn announce(&self, platform: &Platform) -> Result<BuildTicket, Failure> {
        let template = NewTemplate {
            name: format!("{}:{}", self.name, self.tag()),
            tags: vec![DEFAULT_TAG.to_owned()],
            cpu_count: self.cpu_count,
            memory_mb: self.memory_mb,
            // The protocol does not say which of the two calls takes it, so both carry it.
            metadata: self.metadata.clone(),
        };
        let ticket = platform.client().platform().create_template(&template);
        ticket.await.map_err(|error| {
            platform.failure(format!("cannot make the template {}", self.name), &error)
        })
    }

    /// Sends the files, starts the build and follows it to its end.
    pub(crate) async fn build(
        &self,
        ticket: &BuildTicket,
        platform: &Platform,
        terminal: &Terminal,
    ) -> Result<(), Failure> {
        self.upload(ticket, platform, terminal).await?;
        let steps = self.steps();
        let build = NewBuild {
            from_template: Some(BASE.to_owned()),
            steps: steps.clone(),
            start_cmd: self.launch.start_command(),
            ready_cmd: self.launch.ready_command(),
            metadata: self.metadata.clone(),
            ..NewBuild::default()
        };
        let (template_id, build_id) = (&ticket.template_id, &ticket.build_id);
        platform
            .client()
            .platform()
            .start_build(template_id, build_id, &build)
            .await
            .map_err(|error| platform.failure("cannot start the build", &error))?;
        terminal.event(&DeployEvent::Building {
            steps: steps.iter().map(described).collect(),
        });
        self.follow(ticket, &steps, platform, terminal).await
    }

    /// The version as a tag, whose alphabet is smaller: `1.0.0+7` becomes `1.0.0-7`.
    pub(crate) fn tag(&self) -> String {
        let version = self.version.chars();
        let tag: String = version
            .map(|c| match c {
                c if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') => c,
                _ => '-',
            })
            .take(128)
            .collect();
        if tag.starts_with(|c: char| c.is_ascii_alphanumeric()) {
            tag
        } else {
            format!("v{tag}").chars().take(128).collect()
        }
    }

    pub(crate) fn tags(&self) -> [String; 2] {
        [self.tag(), DEFAULT_TAG.to_owned()]
    }

    async fn upload(
        &self,
        ticket: &BuildTicket,
        platform: &Platform,
        terminal: &Terminal,
    ) -> Result<(), Failure> {
        let failed = |error| platform.failure("cannot upload the project's files", &error);
        let control = platform.client().platform();
        let upload = control
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
            terminal.note(&format!(
                "reused {files} that the platform has from before ({size})"
            ));
            return Ok(());
        };
        let progress = terminal.transfer(format!("uploading {files}"), bytes);
        let sent = Arc::new(AtomicU64::new(0));
        let (bar, count_of_sent) = (progress.meter(), Arc::clone(&sent));
        let meter = move |bytes| {
            bar(bytes);
            count_of_sent.store(bytes, Ordering::Relaxed);
        };
        let upload = control.upload_files_with_progress(&url, archive.clone(), meter);
        let mut upload = std::pin::pin!(upload);
        let outcome = loop {
            terminal.event(&DeployEvent::Uploading {
                files: count,
                bytes,
                sent: sent.load(Ordering::Relaxed),
            });
            if let Ok(outcome) = timeout(REPORT, &mut upload).await {
                break outcome;
            }
        };
        drop(progress);
        outcome.map_err(failed)?;
        terminal.event(&uploaded(false));
        terminal.note(&format!("uploaded {files} ({size})"));
        Ok(())
    }

    fn steps(&self) -> Vec<BuildStep> {
        let mut steps = vec![
            step(StepKind::Workdir, [HOME]),
            BuildStep {
                files_hash: Some(self.archive.hash.clone()),
                ..step(StepKind::Copy, [bundle::ROOT, HOME])
            },
        ];
        let mut variables: Vec<_> = self
            .variables
            .iter()
            .flat_map(|(name, value)| [name.as_str(), value])
            .collect();
        let is_set = |name: &str| self.variables.iter().any(|(set, _)| set == name);
        if matches!(self.launch, Launch::Program(_)) {
            for (name, value) in [CORS_ORIGINS, DEFAULT_LOG] {
                if !is_set(name) {
                    variables.splice(0..0, [name, value]);
                }
            }
        }
        if !variables.is_empty() {
            steps.push(step(StepKind::Env, variables));
        }
        steps.extend(self.launch.steps());
        steps
    }

    /// Prints the build's log as it comes, until the build is over.
    async fn follow(
        &self,
        ticket: &BuildTicket,
        steps: &[BuildStep],
        platform: &Platform,
        terminal: &Terminal,
    ) -> Result<(), Failure> {
        let started = Instant::now();
        let progress = terminal.spinner(format!("building {}", self.name));
        let mut log = Log::default();
        let mut pause = POLL.0;
        loop {
            let status = platform
                .client()
                .platform()
                .build_status(&ticket.template_id, &ticket.build_id, log.seen)
                .await
                .map_err(|error| platform.failure("cannot follow the build", &error))?;
            let quiet = !log.print(&status, steps, &progress, terminal);
            match &status.status {
                // What did not fit into one answer comes with the next.
                _ if !quiet => {}
                BuildPhase::Ready => return Ok(()),
                BuildPhase::Error => return Err(self.failed(status.reason, steps, &log)),
                _ if platform.has_ended() => {
                    let what = "the local platform was stopped during the build";
                    return Err(Failure::new(Fault::Platform, what).next("deploy again"));
                }
                _ if started.elapsed() > LIMIT => {
                    let what = format!("the build is not ready after {} min", LIMIT.as_secs() / 60);
                    return Err(Failure::new(Fault::Platform, what)
                        .fact("build_id", &ticket.build_id)
                        .next("deploy again; if that does not help, ask the platform's support"));
                }
                _ => {}
            }
            pause = if quiet {
                (pause * 2).min(POLL.1)
            } else {
                POLL.0
            };
            sleep(pause).await;
        }
    }

    fn failed(&self, reason: Option<BuildReason>, steps: &[BuildStep], log: &Log) -> Failure {
        let reason = reason.unwrap_or_default();
        let number = reason.step.as_deref().and_then(|step| step.parse().ok());
        let step = number.and_then(|number: usize| steps.get(number.checked_sub(1)?));
        let what = match (step, number, reason.step) {
            (Some(step), Some(number), _) => format!(
                "the build of {} failed in step {number} of {}: {}",
                self.name,
                steps.len(),
                shortened(described(step))
            ),
            (_, _, Some(step)) => format!("the build of {} failed in step {step}", self.name),
            _ => format!("the build of {} failed", self.name),
        };
        let mut failure = Failure::new(Fault::Agent, what);
        // Some platforms begin with the step, which is said already.
        let said = step.map(|step| format!("{}: ", described(step)));
        let message = said.and_then(|said| reason.message.strip_prefix(&said));
        let message = message.unwrap_or(&reason.message);
        if !message.is_empty() {
            failure = failure.reason(message);
        }
        if let Some(number) = number {
            let command = step.map(described);
            failure = failure.datum(
                "step",
                json!({ "step": number, "of": steps.len(), "command": command }),
            );
        }
        failure = failure.datum("log", json!(log.last));
        if !log.last.is_empty() {
            let lines = log.last.iter().map(|line| format!("| {}", line.message));
            let lines: Vec<_> = lines.collect();
            failure = failure.reason(format!("last lines of the build:\n{}", lines.join("\n")));
        }
        failure.next("correct the cause and deploy again; the deployment before this one, if there was one, is untouched")
    }
}

impl Launch {
    fn steps(&self) -> Vec<BuildStep> {
        let Self::Python { file, requirements } = self else {
            return Vec::new();
        };
        let mut steps = Vec::new();
        if *requirements {
            steps.push(step(StepKind::Run, [INSTALL, "root"]));
        }
        // A mistake shows now and not when the first caller waits.
        let check = format!("python -c 'compile(open(\"{file}\").read(), \"{file}\", \"exec\")'");
        steps.push(step(StepKind::Run, [check.as_str()]));
        steps
    }

    fn start_command(&self) -> Option<String> {
        match self {
            Self::Program(name) => Some(format!("cd {HOME} && exec ./{name}")),
            Self::Python { .. } => None,
        }
    }

    /// Succeeds once `/ping` answers 200. Agents without the attribute macros know no `--healthcheck`, so it is the
    /// second choice.
    fn ready_command(&self) -> Option<String> {
        let Self::Program(name) = self else {
            return None;
        };
        let ask = r#"exec 3<>/dev/tcp/127.0.0.1/${PPIO_AGENT_PORT:-8080} && printf "GET /ping HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n" >&3 && read -r -t 5 _ status _ <&3 && [ "$status" = 200 ]"#;
        Some(format!(
            "if command -v bash >/dev/null; then bash -c '{ask}' 2>/dev/null; else {HOME}/{name} --healthcheck; fi"
        ))
    }
}

/// The log of a build as far as it was read.
#[derive(Debug, Default)]
struct Log {
    seen: u64,
    /// The step that the last line belongs to.
    step: Option<usize>,
    last: VecDeque<LogLine>,
}

impl Log {
    /// Prints what is new; tells whether anything was.
    fn print(
        &mut self,
        status: &BuildStatus,
        steps: &[BuildStep],
        progress: &Progress,
        terminal: &Terminal,
    ) -> bool {
        // Older platforms have plain lines only.
        let lines: Vec<LogLine> = if status.log_entries.is_empty() {
            status.logs.iter().map(|line| plain(line)).collect()
        } else {
            status.log_entries.iter().map(entry).collect()
        };
        self.seen += lines.len() as u64;
        let any = !lines.is_empty();
        for line in lines {
            if let Some(number) = line.step
                && self.step.replace(number) != Some(number)
            {
                let step = number.checked_sub(1).and_then(|place| steps.get(place));
                let command = step.map(described).unwrap_or_default();
                terminal.event(&DeployEvent::Step {
                    step: number,
                    command: &command,
                });
            }
            terminal.event(&DeployEvent::Log(line.clone()));
            progress.aside(|| terminal.note(&format!("  {}", line.message)));
            if self.last.len() == LAST_LINES {
                self.last.pop_front();
            }
            self.last.push_back(line);
        }
        any
    }
}

fn plain(line: &str) -> LogLine {
    LogLine {
        timestamp: String::new(),
        level: String::new(),
        step: None,
        message: line.trim_end().to_owned(),
    }
}

fn entry(entry: &BuildLog) -> LogLine {
    LogLine {
        timestamp: entry.timestamp.clone(),
        level: entry.level.clone(),
        step: entry.step.as_deref().and_then(|step| step.parse().ok()),
        ..plain(&entry.message)
    }
}

fn step<S: Into<String>>(kind: StepKind, args: impl IntoIterator<Item = S>) -> BuildStep {
    BuildStep {
        kind,
        args: args.into_iter().map(Into::into).collect(),
        files_hash: None,
        force: None,
    }
}

/// A step as a Dockerfile has it, the values of variables left out.
fn described(step: &BuildStep) -> String {
    let argument = |place: usize| step.args.get(place).map_or("", String::as_str);
    match step.kind {
        StepKind::Copy => format!("COPY {} {}", argument(0), argument(1)),
        StepKind::Run => format!("RUN {}", argument(0)),
        StepKind::Env => {
            let names: Vec<_> = step.args.iter().step_by(2).map(String::as_str).collect();
            format!("ENV {}", names.join(" "))
        }
        StepKind::Workdir => format!("WORKDIR {}", argument(0)),
        StepKind::User => format!("USER {}", argument(0)),
    }
}

fn shortened(text: String) -> String {
    match text.char_indices().nth(HEADLINE) {
        None => text,
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

fn size(bytes: usize) -> String {
    match bytes {
        0..1024 => format!("{bytes} bytes"),
        1024..1_048_576 => format!("{} KiB", bytes.div_ceil(1024)),
        _ => {
            // Tenths, rounded up: whole numbers lose nothing.
            let tenths = (bytes * 10).div_ceil(1_048_576);
            format!("{}.{} MiB", tenths / 10, tenths % 10)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deployment(version: &str) -> Deployment {
        Deployment {
            name: "a".into(),
            version: version.into(),
            cpu_count: None,
            memory_mb: None,
            metadata: BTreeMap::new(),
            variables: vec![("KEY".into(), "secret".into())],
            launch: Launch::Program("a".into()),
            archive: Archive {
                hash: "0".into(),
                bytes: Vec::new(),
                files: 0,
                left_out: Vec::new(),
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
    fn a_program_logs_and_answers_every_page_unless_its_author_says_otherwise() {
        let variables = |deployment: &Deployment| {
            let steps = deployment.steps();
            let env = steps.iter().find(|step| step.kind == StepKind::Env);
            env.map(|env| env.args.clone()).unwrap_or_default()
        };
        let (log, cors) = ("PPIO_AGENT_DEFAULT_LOG", "PPIO_AGENT_CORS_ORIGINS");
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
        deployment.launch = Launch::Python {
            file: "agent.py".into(),
            requirements: false,
        };
        assert_eq!(variables(&deployment), [""; 0]);
    }

    #[test]
    fn a_failure_names_the_step_and_no_values() {
        let deployment = deployment("1");
        let steps = deployment.steps();
        let reason = BuildReason {
            message: "no room".into(),
            step: Some("3".into()),
        };
        let failure = deployment.failed(Some(reason), &steps, &Log::default());
        assert_eq!(
            failure.what,
            "the build of a failed in step 3 of 3: ENV PPIO_AGENT_DEFAULT_LOG PPIO_AGENT_CORS_ORIGINS KEY"
        );
        assert_eq!(
            (failure.fault, failure.why),
            (Fault::Agent, vec!["no room".to_owned()])
        );
    }

    #[test]
    fn a_long_step_is_told_once_and_not_whole() {
        let mut deployment = deployment("1");
        deployment.launch = Launch::Python {
            file: "agent.py".into(),
            requirements: true,
        };
        let steps = deployment.steps();
        let reason = BuildReason {
            message: format!("RUN {INSTALL}: the command ended with exit status: 1"),
            step: Some("4".into()),
        };
        let failure = deployment.failed(Some(reason), &steps, &Log::default());
        let (head, step) = failure.what.split_once(": ").expect("a headline");
        assert_eq!(head, "the build of a failed in step 4 of 5");
        assert!(step.starts_with("RUN lacks=") && step.ends_with('…'));
        assert_eq!(step.chars().count(), HEADLINE + 1);
        assert_eq!(failure.why, ["the command ended with exit status: 1"]);
    }
}
