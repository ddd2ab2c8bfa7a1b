//! The loop: build, start, swap, wait for a change.

use std::collections::BTreeSet;
use std::future::{Future, pending};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ppio_agent_protocol::headers::AGENT_PORT;
use tokio::process::Command;
use tokio::sync::watch::Sender;
use tokio::task::JoinSet;

use super::agent_process::{AgentProcess, Ended};
use super::console::Console;
use super::proxy::{Front, Phase, Trouble};
use super::python;
use super::transcript::Transcript;
use super::watch::Watch;
use super::watchdog::Watchdog;
use crate::error::{Failure, Fault};
use crate::project::Project;
use crate::project::cargo_build::{self as compile, Build, Built};

/// How long answers under way may go on when a new agent serves already.
const ANSWERS_MAY_TAKE: Duration = Duration::from_secs(20);
/// How long they may hold up a new agent that can only start when the old one has ended.
const ANSWERS_MAY_HOLD_UP: Duration = Duration::from_secs(3);
/// How long an agent may take to end when it is asked to.
const END_MAY_TAKE: Duration = Duration::from_secs(5);

#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "they change independently: no two make one state"
)]
pub(super) struct Workshop {
    folder: PathBuf,
    release: bool,
    front: Front,
    watch: Watch,
    console: Arc<Console>,
    watchdog: Arc<Watchdog>,
    /// The agent that serves.
    current: Option<Current>,
    /// Agents that finish what they began.
    retiring: JoinSet<()>,
    /// Tells them that there is no time for that.
    hurry: Sender<bool>,
    /// Something may have been built that does not serve.
    is_behind: bool,
    has_served: bool,
    knows_sources: bool,
    /// What cargo said when it failed last.
    last_error: String,
}

#[derive(Debug)]
struct Current {
    process: AgentProcess,
    /// The program or script that it runs.
    source: PathBuf,
}

/// Changes that came while something was done.
type Changed = Vec<PathBuf>;

impl Workshop {
    pub(super) fn new(
        project: &Project,
        release: bool,
        front: Front,
        watch: Watch,
        console: &Arc<Console>,
        watchdog: &Arc<Watchdog>,
    ) -> Self {
        Self {
            folder: project.folder().to_owned(),
            release,
            front,
            watch,
            console: Arc::clone(console),
            watchdog: Arc::clone(watchdog),
            current: None,
            retiring: JoinSet::new(),
            hurry: Sender::new(false),
            is_behind: true,
            has_served: false,
            knows_sources: false,
            last_error: String::new(),
        }
    }

    /// Goes on until it is dropped. Returns what no change of the project could mend.
    pub(super) async fn work(&mut self) -> Failure {
        let mut changed = Changed::new();
        loop {
            let next = async {
                match self.bring_up_to_date(&changed).await? {
                    Some(changed) => Ok(changed),
                    None => self.wait().await,
                }
            };
            match next.await {
                Ok(next) => changed = next,
                Err(error) => return Failure::system("cannot look at the project's files", error),
            }
        }
    }

    /// Ends every agent in order.
    pub(super) async fn close(&mut self) {
        self.hurry.send_replace(true);
        if let Some(current) = self.current.take() {
            self.retire(current, Duration::ZERO);
        }
        while self.retiring.join_next().await.is_some() {}
    }

    /// Ends every agent.
    pub(super) async fn kill(&mut self) {
        self.current = None;
        self.retiring.shutdown().await;
    }

    /// Builds what changed, and lets it serve. Returns the changes for which that was given up half-way.
    async fn bring_up_to_date(&mut self, changed: &[PathBuf]) -> io::Result<Option<Changed>> {
        // Other files are written by agents too, which is nothing to talk about.
        let is_authors = changed.is_empty() || changed.iter().any(|path| is_source(path));
        if is_authors {
            if self.current.is_none() {
                self.front.show(Phase::Preparing);
            }
            self.console.building(&self.names(changed));
        }
        let project = match Project::open(&self.folder) {
            Ok(project) => project,
            Err(failure) => {
                self.failed(&failure, "");
                return Ok(None);
            }
        };
        let entrypoint = project.config.spec.entrypoint.as_ref();
        match entrypoint.filter(|entrypoint| entrypoint.is_python()) {
            Some(entrypoint) => {
                let script = self.folder.join(entrypoint.as_str());
                if self.serves(&script) && !changed.iter().any(|path| python::matters(path)) {
                    return Ok(None);
                }
                self.make_room().await;
                let command = python::command(&self.folder, entrypoint.as_str());
                // Most scripts written for the Python SDK know of no other port.
                self.start(&project, command, script, &[AGENT_PORT]).await
            }
            None => self.build_and_start(&project, changed, is_authors).await,
        }
    }

    async fn build_and_start(
        &mut self,
        project: &Project,
        changed: &[PathBuf],
        is_authors: bool,
    ) -> io::Result<Option<Changed>> {
        let was_behind = std::mem::replace(&mut self.is_behind, true);
        let mut transcript = Transcript::default();
        let built = {
            let building = build(
                project,
                self.release,
                &self.console,
                is_authors,
                &mut transcript,
            );
            match unless_changed(&mut self.watch, building).await? {
                Ok(built) => built,
                Err(changed) => return Ok(Some(changed)),
            }
        };
        let manifests_changed = changed.iter().any(|path| is_about_packages(path));
        if !self.knows_sources || manifests_changed {
            // Where cargo cannot tell, it is asked again after the next build.
            let folders = compile::source_folders(project).await;
            self.knows_sources = folders.is_ok();
            self.watch.add(folders.unwrap_or_default()).await?;
        }
        let built = match built {
            Ok(built) => built,
            Err(failure) => {
                let said = transcript.text();
                if !is_authors && said == self.last_error {
                    return Ok(None);
                }
                if !is_authors {
                    self.console.cargo(transcript.bytes());
                }
                self.last_error.clone_from(&said);
                if said.is_empty() {
                    self.failed(&failure, &said);
                } else {
                    self.show_failed(&failure, &said);
                    self.console
                        .uncompiled(&failure, &said, self.current.is_some());
                }
                return Ok(None);
            }
        };
        self.last_error.clear();
        if built.is_fresh && !was_behind && self.serves(&built.executable) {
            self.is_behind = false;
            return Ok(None);
        }
        let command = Command::new(&built.executable);
        self.start(project, command, built.executable, &[]).await
    }

    /// Starts an agent and lets it serve in place of the current one.
    async fn start(
        &mut self,
        project: &Project,
        command: Command,
        source: PathBuf,
        other_ports: &[u16],
    ) -> io::Result<Option<Changed>> {
        let other_ports: Vec<_> = other_ports
            .iter()
            .copied()
            .filter(|port| *port != self.front.port())
            .collect();
        let started = AgentProcess::start(
            command,
            project.folder(),
            &other_ports,
            &self.console,
            &self.watchdog,
        );
        let mut process = match started.await {
            Ok(process) => process,
            Err(failure) => {
                self.failed(&failure, "");
                return Ok(None);
            }
        };
        let port = process.port();
        let (front, console, serves) = (&self.front, &self.console, self.current.is_some());
        let elsewhere = |ports: &BTreeSet<u16>| {
            let failure = listens_elsewhere(project.name(), port, ports);
            if !serves {
                front.show(broken(&failure, ""));
            }
            console.failed(&failure, "", serves);
        };
        let serving = unless_changed(&mut self.watch, process.serving(elsewhere)).await?;
        match serving {
            Ok(Ok(route)) => {
                self.front.show(Phase::Serving(route));
                let new = Current { process, source };
                if let Some(old) = self.current.replace(new) {
                    self.retire(old, ANSWERS_MAY_TAKE);
                }
                self.is_behind = false;
                let is_first = !std::mem::replace(&mut self.has_served, true);
                self.console
                    .serving(project.name(), &self.front.url(), is_first);
                Ok(None)
            }
            Ok(Err(ended)) => {
                let what = format!("{} ended at its start ({})", project.name(), ended.status);
                let failure = self.explain(what, &ended);
                self.failed(&failure, &ended.last_words);
                Ok(None)
            }
            Err(changed) => {
                process.end(END_MAY_TAKE).await;
                Ok(Some(changed))
            }
        }
    }

    /// Waits for a change; tells when the agent ends meanwhile.
    async fn wait(&mut self) -> io::Result<Changed> {
        loop {
            let current = self.current.as_mut();
            let ended = async {
                match current {
                    Some(current) => current.process.ended().await,
                    None => pending().await,
                }
            };
            let ended = tokio::select! {
                changed = self.watch.changed() => return changed,
                ended = ended => ended,
            };
            self.current = None;
            self.is_behind = true;
            let what = format!("the agent ended ({})", ended.status);
            let failure = self.explain(what, &ended);
            self.show_broken(&failure, &ended.last_words);
            self.console.ended(&failure, &ended.status.to_string());
        }
    }

    fn explain(&self, what: String, ended: &Ended) -> Failure {
        let failure = Failure::new(Fault::Agent, what);
        let words = ended.last_words.to_ascii_lowercase();
        if self.front.port() == AGENT_PORT && words.contains("address already in use") {
            return failure.next(format!(
                "let it listen on the port that PPIO_AGENT_PORT names, or leave it {AGENT_PORT} with `--port {}`",
                AGENT_PORT + 1
            ));
        }
        failure
    }

    /// Tells why there is nothing new to serve. What served, serves on.
    fn failed(&self, failure: &Failure, output: &str) {
        self.show_failed(failure, output);
        self.console.failed(failure, output, self.current.is_some());
    }

    fn show_failed(&self, failure: &Failure, output: &str) {
        if self.current.is_none() {
            self.show_broken(failure, output);
        }
    }

    fn show_broken(&self, failure: &Failure, output: &str) {
        self.front.show(broken(failure, output));
    }

    fn serves(&self, source: &Path) -> bool {
        let current = self.current.as_ref();
        current.is_some_and(|current| current.source == source)
    }

    /// Ends the current agent, for one that wants the same port.
    async fn make_room(&mut self) {
        if let Some(current) = self.current.take() {
            self.front.show(Phase::Preparing);
            self.retire(current, ANSWERS_MAY_HOLD_UP);
        }
        while self.retiring.join_next().await.is_some() {}
    }

    /// Ends an agent when it has answered what it was asked, or `patience` is over.
    fn retire(&mut self, current: Current, patience: Duration) {
        // Takes the finished ones out.
        while self.retiring.try_join_next().is_some() {}
        let mut hurry = self.hurry.subscribe();
        let mut process = current.process;
        self.retiring.spawn(async move {
            tokio::select! {
                () = process.idle() => {}
                () = tokio::time::sleep(patience) => {}
                _ = hurry.wait_for(|hurry| *hurry) => {}
            }
            process.end(END_MAY_TAKE).await;
        });
    }

    /// What the author wrote, as the author knows it.
    fn names(&self, changed: &[PathBuf]) -> Vec<String> {
        changed
            .iter()
            .filter(|path| is_source(path))
            .map(|path| path.strip_prefix(&self.folder).unwrap_or(path))
            .map(|path| path.display().to_string())
            .collect()
    }
}

fn broken(failure: &Failure, output: &str) -> Phase {
    let output = if output.is_empty() {
        failure.why.join("\n")
    } else {
        output.to_owned()
    };
    Phase::Broken(Trouble {
        what: failure.what.clone(),
        output,
    })
}

fn listens_elsewhere(name: &str, port: u16, ports: &BTreeSet<u16>) -> Failure {
    let what = format!("{name} does not listen on port {port}, which PPIO_AGENT_PORT names");
    let ports: Vec<_> = ports.iter().map(u16::to_string).collect();
    Failure::new(Fault::Agent, what)
        .reason(format!("it listens on port {}", ports.join(", ")))
        .next(format!(
            "let it take the port from PPIO_AGENT_PORT, and {AGENT_PORT} where that is not set"
        ))
}

async fn build(
    project: &Project,
    release: bool,
    console: &Console,
    is_shown: bool,
    transcript: &mut Transcript,
) -> Result<Built, Failure> {
    let build = Build {
        release,
        quiet: !is_shown || !console.talks(),
        ..Build::default()
    };
    let mut hear = |said: &[u8]| {
        transcript.hear(said);
        if is_shown {
            console.cargo(said);
        }
    };
    build
        .run_heard(project, Console::columns(), &mut hear)
        .await
}

/// Does the work, or gives it up for changes of what it is made of.
async fn unless_changed<T>(
    watch: &mut Watch,
    work: impl Future<Output = T>,
) -> io::Result<Result<T, Changed>> {
    let mut work = std::pin::pin!(work);
    let mut others = Changed::new();
    loop {
        tokio::select! {
            biased;
            done = &mut work => {
                watch.put_back(others);
                return Ok(Ok(done));
            }
            changed = watch.changed() => others.extend(changed?),
        }
        if others.iter().any(|path| is_source(path)) {
            return Ok(Err(others));
        }
    }
}

/// Whether only an author writes the file: no agent, and not cargo, which writes Cargo.lock.
fn is_source(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    matches!(extension, Some("rs"))
        || python::matters(path)
        || is_one_of(path, &["Cargo.toml", "agent.yaml", "agent.yml"])
}

fn is_about_packages(path: &Path) -> bool {
    is_one_of(path, &["Cargo.toml", "Cargo.lock"])
}

fn is_one_of(path: &Path, names: &[&str]) -> bool {
    path.file_name()
        .and_then(|name| name.to_str())
        .is_some_and(|name| names.contains(&name))
}
