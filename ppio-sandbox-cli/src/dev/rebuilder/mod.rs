//! The loop of `agent dev`: build, start, replace, wait for a change. `disturb` applies the
//! decisions of `--chaos`.

mod disturb;

use std::collections::BTreeSet;
use std::future::{Future, pending};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ppio_agent_protocol::headers::AGENT_PORT;
use tokio::process::Command;
use tokio::sync::mpsc::Receiver;
use tokio::sync::watch::Sender;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use super::agent_process::{AgentExit, AgentProcess};
use super::chaos::AgentDisturbance;
use super::console::DevConsole;
use super::dot_env::{self, Variables};
use super::proxy::{BuildError, DevProxy, ProxyPhase};
use super::python;
use super::sources::{is_cargo_manifest, is_source};
use super::telemetry::DevTelemetry;
use super::telemetry::environment::ExportTarget;
use super::transcript::CargoTranscript;
use super::watch::FileWatcher;
use super::watchdog::GroupWatchdog;
use crate::error::{CliError, ExitKind};
use crate::project::Project;
use crate::project::cargo::{self, BuildOutput, BuiltProgram, CargoBuild};

/// The longest time for which a replaced agent may continue with running requests.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(20);
/// The longest time for which a replaced agent may continue if it has to exit before the next one
/// can start.
const RESTART_DRAIN_TIMEOUT: Duration = Duration::from_secs(3);
/// The longest time that an agent may take to exit after SIGTERM.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// The fixed port of the Python SDK, on which most scripts that use the SDK listen.
const PYTHON_PORTS: &[u16] = &[AGENT_PORT];

#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each flag changes independently of the others"
)]
pub(super) struct Rebuilder {
    folder: PathBuf,
    release: bool,
    proxy: DevProxy,
    watch: FileWatcher,
    console: Arc<DevConsole>,
    watchdog: Arc<GroupWatchdog>,
    telemetry: Arc<DevTelemetry>,
    /// The author's variable that makes the agent export its traces elsewhere.
    exports_by: Option<&'static str>,
    /// Receives the disturbances of the agent that `--chaos` decides.
    disturbances: Option<Receiver<AgentDisturbance>>,
    /// The time at which a paused agent is resumed.
    paused_until: Option<Instant>,
    /// The agent that gets new requests.
    current: Option<RunningAgent>,
    /// The tasks that stop replaced agents.
    draining: JoinSet<()>,
    /// A flag that is set to cut the running requests of replaced agents.
    force_stop: Sender<bool>,
    /// Whether the last build may be newer than the current agent.
    is_behind: bool,
    has_served: bool,
    /// Whether the source folders of the project's path dependencies are watched.
    sources_known: bool,
    /// Cargo's output of the last build if it failed.
    last_error: String,
}

#[derive(Debug)]
struct RunningAgent {
    process: AgentProcess,
    source: AgentSource,
}

/// The program or script, and the variables, with which a process of the agent was started.
#[derive(Debug, PartialEq, Eq)]
struct AgentSource {
    /// The program or the script.
    file: PathBuf,
    /// The variables of `.env`.
    variables: Variables,
}

type ChangedFiles = Vec<PathBuf>;

impl Rebuilder {
    pub(super) fn new(
        project: &Project,
        release: bool,
        proxy: DevProxy,
        watch: FileWatcher,
        console: &Arc<DevConsole>,
        watchdog: &Arc<GroupWatchdog>,
        telemetry: &Arc<DevTelemetry>,
    ) -> Self {
        Self {
            folder: project.folder().to_owned(),
            release,
            proxy,
            watch,
            console: Arc::clone(console),
            watchdog: Arc::clone(watchdog),
            telemetry: Arc::clone(telemetry),
            exports_by: None,
            disturbances: None,
            paused_until: None,
            current: None,
            draining: JoinSet::new(),
            force_stop: Sender::new(false),
            is_behind: true,
            has_served: false,
            sources_known: false,
            last_error: String::new(),
        }
    }

    /// Sets the receiver of the disturbances of the agent.
    pub(super) fn disturbed_by(mut self, disturbances: Option<Receiver<AgentDisturbance>>) -> Self {
        self.disturbances = disturbances;
        self
    }

    /// Runs until it is dropped. Returns only an error that no change of the project can correct.
    pub(super) async fn run(&mut self) -> CliError {
        let mut changed = ChangedFiles::new();
        loop {
            let next = async {
                match self.update(&changed).await? {
                    Some(changed) => Ok(changed),
                    None => self.wait_for_change().await,
                }
            };
            match next.await {
                Ok(next) => changed = next,
                Err(error) => return CliError::system("cannot read the project's files", error),
            }
        }
    }

    /// Stops every agent with SIGTERM, and after [`STOP_TIMEOUT`] with SIGKILL.
    pub(super) async fn stop(&mut self) {
        self.force_stop.send_replace(true);
        if let Some(current) = self.current.take() {
            self.drain(current, Duration::ZERO);
        }
        while self.draining.join_next().await.is_some() {}
    }

    /// Kills every agent.
    pub(super) async fn kill(&mut self) {
        self.current = None;
        self.draining.shutdown().await;
    }

    /// Builds and starts what changed. Returns the changes that interrupted this work, if any did.
    async fn update(&mut self, changed: &[PathBuf]) -> io::Result<Option<ChangedFiles>> {
        // Agents also write files; a build that only such files trigger is not reported.
        let is_reported = changed.is_empty() || changed.iter().any(|path| is_source(path));
        if is_reported {
            if self.current.is_none() {
                self.proxy.set_phase(ProxyPhase::Preparing);
            }
            self.console.building(&self.names(changed));
        }
        let project = match Project::open(&self.folder) {
            Ok(project) => project,
            Err(error) => {
                self.failed(&error, "");
                return Ok(None);
            }
        };
        let variables = match dot_env::read(&self.folder) {
            Ok(variables) => variables,
            Err(error) => {
                self.failed(&error, "");
                return Ok(None);
            }
        };
        match python_entrypoint(&project) {
            Some(entrypoint) => {
                let source = AgentSource {
                    file: self.folder.join(entrypoint),
                    variables,
                };
                if self.serves(&source) && !changed.iter().any(|path| python::is_source(path)) {
                    return Ok(None);
                }
                self.stop_current().await;
                self.start(&project, source).await
            }
            None => {
                self.build_and_start(&project, variables, changed, is_reported)
                    .await
            }
        }
    }

    async fn build_and_start(
        &mut self,
        project: &Project,
        variables: Variables,
        changed: &[PathBuf],
        is_reported: bool,
    ) -> io::Result<Option<ChangedFiles>> {
        let was_behind = std::mem::replace(&mut self.is_behind, true);
        let mut transcript = CargoTranscript::default();
        let built = {
            let building = build(
                project,
                self.release,
                &self.console,
                is_reported,
                &mut transcript,
            );
            match or_changed(&mut self.watch, building).await? {
                Ok(built) => built,
                Err(changed) => return Ok(Some(changed)),
            }
        };
        if !self.sources_known || changed.iter().any(|path| is_cargo_manifest(path)) {
            // If cargo fails, it is run again after the next build.
            let folders = cargo::source_folders(project).await;
            self.sources_known = folders.is_ok();
            self.watch.add(folders.unwrap_or_default()).await?;
        }
        let built = match built {
            Ok(built) => built,
            Err(error) => {
                self.report_build_error(&error, &transcript, is_reported);
                return Ok(None);
            }
        };
        self.last_error.clear();
        let source = AgentSource {
            file: built.executable,
            variables,
        };
        if built.is_fresh && !was_behind && self.serves(&source) {
            self.is_behind = false;
            return Ok(None);
        }
        self.start(project, source).await
    }

    fn report_build_error(
        &mut self,
        error: &CliError,
        transcript: &CargoTranscript,
        is_reported: bool,
    ) {
        let output = transcript.text();
        if !is_reported {
            if output == self.last_error {
                return;
            }
            self.console.cargo_output(transcript.bytes());
        }
        self.last_error.clone_from(&output);
        if output.is_empty() {
            self.failed(error, &output);
        } else {
            self.set_broken_unless_serving(error, &output);
            self.console
                .build_failed(error, &output, self.current.is_some());
        }
    }

    /// Starts an agent, and replaces the current one when the new one answers.
    async fn start(
        &mut self,
        project: &Project,
        source: AgentSource,
    ) -> io::Result<Option<ChangedFiles>> {
        let (mut command, other_ports) = match python_entrypoint(project) {
            Some(entrypoint) => (python::command(&self.folder, entrypoint), PYTHON_PORTS),
            None => (Command::new(&source.file), &[][..]),
        };
        let other_ports: Vec<_> = other_ports
            .iter()
            .copied()
            .filter(|port| *port != self.proxy.port())
            .collect();
        command.envs(&source.variables);
        self.set_export_target(&mut command, &source.variables);
        let started = AgentProcess::start(
            command,
            project.folder(),
            &other_ports,
            &self.console,
            &self.watchdog,
            &self.telemetry,
        );
        let mut process = match started.await {
            Ok(process) => process,
            Err(error) => {
                self.failed(&error, "");
                return Ok(None);
            }
        };
        let port = process.port();
        let (proxy, console, serves) = (&self.proxy, &self.console, self.current.is_some());
        let on_other_ports = |ports: &BTreeSet<u16>| {
            let error = wrong_port(project.name(), port, ports);
            if !serves {
                proxy.set_phase(broken(&error, ""));
            }
            console.failed(&error, "", serves);
        };
        match or_changed(&mut self.watch, process.serving(on_other_ports)).await? {
            Ok(Ok(route)) => {
                self.proxy.set_phase(ProxyPhase::Serving(route));
                let new = RunningAgent { process, source };
                if let Some(old) = self.current.replace(new) {
                    self.drain(old, DRAIN_TIMEOUT);
                }
                self.is_behind = false;
                let is_first = !std::mem::replace(&mut self.has_served, true);
                self.console
                    .serving(project.name(), &self.proxy.url(), is_first);
                Ok(None)
            }
            Ok(Err(exit)) => {
                let message = format!("{} exited at its start ({})", project.name(), exit.status);
                let error = self.exit_error(message, &exit);
                self.failed(&error, &exit.tail);
                Ok(None)
            }
            Err(changed) => {
                process.stop(STOP_TIMEOUT).await;
                Ok(Some(changed))
            }
        }
    }

    /// Makes the agent export its traces to this command, unless the author has set another
    /// receiver.
    fn set_export_target(&mut self, command: &mut Command, variables: &Variables) {
        match ExportTarget::choose(self.proxy.port(), variables) {
            ExportTarget::Dev(variables) => {
                command.envs(variables);
                self.exports_by = None;
            }
            ExportTarget::Author(variable) => {
                if self.exports_by.replace(variable) != Some(variable) {
                    self.console.note(&format!(
                        "{variable} is set: traces are sent there, and the page shows none; unset \
                         it to see them on the page"
                    ));
                }
            }
        }
    }

    /// Waits for a change. Meanwhile reports the exit of the agent, and applies the disturbances of
    /// `--chaos`.
    async fn wait_for_change(&mut self) -> io::Result<ChangedFiles> {
        loop {
            let current = self.current.as_mut();
            let exited = async {
                match current {
                    Some(current) => current.process.exited().await,
                    None => pending().await,
                }
            };
            let disturbances = self.disturbances.as_mut();
            let disturbance = async {
                match disturbances {
                    Some(disturbances) => disturbances.recv().await,
                    None => None,
                }
            };
            let paused_until = self.paused_until;
            let pause_ended = async {
                match paused_until {
                    Some(until) => sleep_until(until).await,
                    None => pending().await,
                }
            };
            let exit = tokio::select! {
                changed = self.watch.changed() => {
                    self.resume();
                    return changed;
                }
                exit = exited => exit,
                Some(disturbance) = disturbance => {
                    if let Some(changed) = self.disturb(&disturbance).await? {
                        return Ok(changed);
                    }
                    continue;
                }
                () = pause_ended => {
                    self.resume();
                    continue;
                }
            };
            self.current = None;
            self.is_behind = true;
            let message = format!("the agent exited ({})", exit.status);
            let error = self.exit_error(message, &exit);
            self.proxy.set_phase(broken(&error, &exit.tail));
            self.console.exited(&error, &exit.status.to_string());
        }
    }

    fn exit_error(&self, message: String, exit: &AgentExit) -> CliError {
        let error = CliError::new(ExitKind::Agent, message);
        if self.proxy.port() == AGENT_PORT && exit.is_address_in_use() {
            return error.help(format!(
                "make the agent listen on PPIO_AGENT_PORT, or leave port {AGENT_PORT} to it with \
                 `--port {}`",
                AGENT_PORT + 1
            ));
        }
        error
    }

    /// Reports that the new agent cannot serve. The current agent, if there is one, keeps serving.
    fn failed(&self, error: &CliError, output: &str) {
        self.set_broken_unless_serving(error, output);
        self.console.failed(error, output, self.current.is_some());
    }

    fn set_broken_unless_serving(&self, error: &CliError, output: &str) {
        if self.current.is_none() {
            self.proxy.set_phase(broken(error, output));
        }
    }

    fn serves(&self, source: &AgentSource) -> bool {
        let current = self.current.as_ref();
        current.is_some_and(|current| current.source == *source)
    }

    /// Stops the current agent and waits for the exit of every stopped agent, because the next one
    /// may need the same port.
    async fn stop_current(&mut self) {
        if let Some(current) = self.current.take() {
            self.proxy.set_phase(ProxyPhase::Preparing);
            self.drain(current, RESTART_DRAIN_TIMEOUT);
        }
        while self.draining.join_next().await.is_some() {}
    }

    /// Stops an agent in the background: when its running requests are answered, after `timeout`,
    /// or when `force_stop` is set.
    fn drain(&mut self, agent: RunningAgent, timeout: Duration) {
        // Removes the finished tasks.
        while self.draining.try_join_next().is_some() {}
        let mut force_stop = self.force_stop.subscribe();
        let mut process = agent.process;
        self.draining.spawn(async move {
            tokio::select! {
                () = process.drained() => {}
                () = sleep(timeout) => {}
                _ = force_stop.wait_for(|force_stop| *force_stop) => {}
            }
            process.stop(STOP_TIMEOUT).await;
        });
    }

    /// Returns the changed source files; those of the project relative to the project.
    fn names(&self, changed: &[PathBuf]) -> Vec<String> {
        changed
            .iter()
            .filter(|path| is_source(path))
            .map(|path| path.strip_prefix(&self.folder).unwrap_or(path))
            .map(|path| path.display().to_string())
            .collect()
    }
}

/// Returns the script of a project in Python.
fn python_entrypoint(project: &Project) -> Option<&str> {
    let entrypoint = project.config.spec.entrypoint.as_ref()?;
    entrypoint.is_python().then(|| entrypoint.as_str())
}

fn broken(error: &CliError, output: &str) -> ProxyPhase {
    let output = if output.is_empty() {
        error.causes.join("\n")
    } else {
        output.to_owned()
    };
    ProxyPhase::Broken(BuildError {
        message: error.message.clone(),
        output,
    })
}

fn wrong_port(name: &str, port: u16, ports: &BTreeSet<u16>) -> CliError {
    let message = format!("{name} does not listen on PPIO_AGENT_PORT ({port})");
    let ports: Vec<_> = ports.iter().map(u16::to_string).collect();
    CliError::new(ExitKind::Agent, message)
        .cause(format!("the agent listens on port {}", ports.join(", ")))
        .help(format!(
            "make the agent listen on PPIO_AGENT_PORT, or on {AGENT_PORT} if that is not set"
        ))
}

async fn build(
    project: &Project,
    release: bool,
    console: &DevConsole,
    is_reported: bool,
    transcript: &mut CargoTranscript,
) -> Result<BuiltProgram, CliError> {
    let build = CargoBuild {
        release,
        quiet: !is_reported || !console.is_verbose(),
        ..CargoBuild::default()
    };
    let mut write = |output: &[u8]| {
        transcript.write(output);
        if is_reported {
            console.cargo_output(output);
        }
    };
    let output = BuildOutput::Capture {
        columns: DevConsole::columns(),
        write: &mut write,
    };
    build.run(project, output).await
}

/// Runs `work`; drops it and returns the changes when a source file changes.
async fn or_changed<T>(
    watch: &mut FileWatcher,
    work: impl Future<Output = T>,
) -> io::Result<Result<T, ChangedFiles>> {
    let mut work = std::pin::pin!(work);
    let mut changes = ChangedFiles::new();
    loop {
        tokio::select! {
            biased;
            outcome = &mut work => {
                watch.put_back(changes);
                return Ok(Ok(outcome));
            }
            found = watch.changed() => changes.extend(found?),
        }
        if changes.iter().any(|path| is_source(path)) {
            return Ok(Err(changes));
        }
    }
}
