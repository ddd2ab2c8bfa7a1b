//! `agent deploy`.

mod bundle;
mod compile_target;
mod deployment;
mod event;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Instant, SystemTime};

use cargo_metadata::diagnostic::Diagnostic;
use ppio_agent_client::platform::BuildTicket;
use ppio_agent_protocol::{AgentConfig, DeploymentPhase, Entrypoint, TEMPLATE_METADATA_KEY};
use serde_json::{Value, json};

use crate::arguments::{DeployArguments, PlatformArguments};
use crate::deploy::bundle::{Archive, Bundle, Reason};
use crate::deploy::compile_target::Target;
use crate::deploy::deployment::{Deployment, Launch};
use crate::deploy::event::DeployEvent;
use crate::error::{Failure, Fault};
use crate::platform::Platform;
use crate::project::cargo_build::Build;
use crate::project::edit::{self, Change};
use crate::project::{AgentFile, Project};
use crate::signals::unless_interrupted;
use crate::terminal::{Format, Terminal};

/// The key of the template's metadata that tells what its program was built for.
const TARGET_KEY: &str = "agent_target";
/// What a program for this machine is built for.
const HOST: &str = "host";
/// The key of `spec` with the files that a Rust agent reads, beside its program.
const FILES_KEY: &str = "files";

pub(crate) async fn run(arguments: DeployArguments, terminal: &Terminal) -> Result<(), Failure> {
    let outcome = run_to_its_end(arguments, terminal).await;
    if let Err(failure) = &outcome {
        let failure = failure.document();
        terminal.event(&DeployEvent::Failed { failure });
    }
    outcome
}

async fn run_to_its_end(arguments: DeployArguments, terminal: &Terminal) -> Result<(), Failure> {
    let project = Project::open(&arguments.project.project)?;
    let mut record = Record::open(project.file.clone())?;
    let variables = variables(&arguments.env)?;
    let local = Platform::is_meant_to_be_local(&arguments.platform);
    // A key that is missing shows before a long build.
    let remote = if local {
        None
    } else {
        Some(Platform::choose(&arguments.platform)?)
    };
    let prepared = prepare(&project, &arguments, local, variables, terminal);
    let deployment = unless_interrupted(prepared).await?;
    let platform = match remote {
        Some(platform) => platform,
        None => Platform::started(&arguments.platform, terminal).await?,
    };
    let deployed = unless_interrupted(deploy(&deployment, &platform, &mut record, terminal)).await;
    match deployed {
        Ok(ticket) => {
            record.deployed(&ticket)?;
            tell(
                &deployment,
                &ticket,
                &platform,
                &arguments.platform,
                terminal,
            );
            Ok(())
        }
        Err(failure) => {
            match failure.fault {
                Fault::Interrupted | Fault::Terminated => record.restore(),
                _ => record.failed(),
            }
            .unwrap_or_else(|error| {
                terminal.warn(&format!("{}: {}", error.what, error.why.join(": ")));
            });
            Err(failure)
        }
    }
}

/// Everything that needs no platform: the program, the files, what is said about them.
async fn prepare(
    project: &Project,
    arguments: &DeployArguments,
    local: bool,
    variables: Vec<(String, String)>,
    terminal: &Terminal,
) -> Result<Deployment, Failure> {
    let config = &project.config;
    let is_python = config
        .spec
        .entrypoint
        .as_ref()
        .is_some_and(Entrypoint::is_python);
    let (launch, archive, target) = if is_python {
        let (launch, archive) = python(project, &arguments.include).await?;
        (launch, archive, None)
    } else {
        let target = match &arguments.target {
            Some(name) => Target::named(name),
            None => Target::find(project.folder(), local, terminal).await?,
        };
        let built = rust(project, &target, &arguments.include, terminal).await;
        let (launch, archive) = built.map_err(|failure| {
            if arguments.target.is_none() {
                or_for_the_host(failure, &target)
            } else {
                failure
            }
        })?;
        (launch, archive, Some(target))
    };
    report_left_out(&archive, terminal);
    let runtime = config.spec.runtime.as_ref();
    let mut metadata = BTreeMap::from([(TEMPLATE_METADATA_KEY.to_owned(), document(config)?)]);
    if let Some(target) = target {
        metadata.insert(
            TARGET_KEY.to_owned(),
            target.triple().unwrap_or(HOST).to_owned(),
        );
    }
    Ok(Deployment {
        name: project.name().to_owned(),
        version: config.metadata.version.clone(),
        cpu_count: runtime.and_then(|runtime| Some(runtime.cpu_limit?.cpu_count())),
        memory_mb: runtime.and_then(|runtime| Some(runtime.memory_limit?.mebibytes())),
        metadata,
        variables,
        launch,
        archive,
    })
}

/// Says what of the project is not sent.
fn report_left_out(archive: &Archive, terminal: &Terminal) {
    let files = &archive.left_out;
    if files.is_empty() {
        return;
    }
    terminal.event(&DeployEvent::LeftOut { files });
    let mut holds_secrets = false;
    for file in files {
        let reason = match file.reason {
            Reason::Secret => "a secret by its name",
            Reason::BrokenLink => "a link to nothing",
            Reason::VirtualEnvironment => "a virtual environment",
            Reason::NotAFile => "neither a file nor a folder",
        };
        holds_secrets |= file.reason == Reason::Secret;
        terminal.note(&format!("left out {}, {reason}", file.path));
    }
    if holds_secrets {
        terminal
            .note("`--include PATTERN` sends a secret all the same, `--env NAME` a single value");
    }
}

/// What the platform keeps about the agent: agent.yaml without its history, and for a Rust agent without its
/// entrypoint, since a template that names one is started from outside with Python.
fn document(config: &AgentConfig) -> Result<String, Failure> {
    let mut config = config.clone();
    config.status = None;
    config.spec.sandbox = None;
    if config
        .spec
        .entrypoint
        .as_ref()
        .is_some_and(Entrypoint::is_rust)
    {
        config.spec.entrypoint = None;
    }
    let written = config.to_json();
    written.map_err(|error| Failure::system("cannot write the agent's configuration", error))
}

async fn rust(
    project: &Project,
    target: &Target,
    include: &[String],
    terminal: &Terminal,
) -> Result<(Launch, Archive), Failure> {
    let files = listed_files(&project.config)?;
    let program = compiled(project, target, terminal).await?;
    let name = program
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let launch = Launch::Program(name.clone());
    let archive = packed(project, include, move |bundle| {
        for path in &files {
            bundle.listed(path)?;
        }
        bundle.program(&name, program)
    });
    Ok((launch, archive.await?))
}

/// The static target was our choice. C code in it wants a compiler that is not always there.
fn or_for_the_host(mut failure: Failure, target: &Target) -> Failure {
    if let (Fault::Agent, Some(triple), Some(next)) =
        (failure.fault, target.triple(), &mut failure.next)
    {
        *next = format!("{next}, or with `--target host` if it is only {triple} that fails");
    }
    failure
}

async fn compiled(
    project: &Project,
    target: &Target,
    terminal: &Terminal,
) -> Result<PathBuf, Failure> {
    let build = Build {
        release: true,
        target: target.triple().map(str::to_owned),
        quiet: !terminal.talks(),
    };
    if terminal.format() == Format::Text {
        return build.run(project).await;
    }
    let started = Instant::now();
    let target = target.triple().unwrap_or(HOST);
    terminal.event(&DeployEvent::Compiling { target });
    let mut tell = |said: &Diagnostic| {
        terminal.event(&DeployEvent::Compiler {
            level: said.level,
            message: said.rendered.as_deref().unwrap_or(&said.message),
        });
    };
    let program = build.run_told(project, &mut tell).await?;
    let duration = started.elapsed().as_secs_f64();
    terminal.event(&DeployEvent::Compiled { duration });
    Ok(program)
}

async fn python(project: &Project, include: &[String]) -> Result<(Launch, Archive), Failure> {
    let entrypoint = project.config.spec.entrypoint.as_ref();
    let file = entrypoint
        .map_or("agent.py", |file| file.as_str())
        .to_owned();
    if !project.folder().join(&file).is_file() {
        let what = format!("the entrypoint {file} is not there");
        return Err(Failure::new(Fault::Usage, what)
            .next("write the file, or correct `spec.entrypoint` in agent.yaml"));
    }
    let requirements = project.folder().join("requirements.txt").is_file();
    let agent = file.clone();
    let archive = packed(project, include, move |bundle| {
        bundle.everything()?;
        if bundle.holds(&agent) {
            return Ok(());
        }
        let what = format!(".dockerignore leaves out the entrypoint {agent}");
        Err(Failure::new(Fault::Usage, what).next(format!("add the line `!{agent}` at its end")))
    });
    Ok((Launch::Python { file, requirements }, archive.await?))
}

/// Fills a bundle on a thread that may block on the disk.
async fn packed(
    project: &Project,
    include: &[String],
    fill: impl FnOnce(&mut Bundle) -> Result<(), Failure> + Send + 'static,
) -> Result<Archive, Failure> {
    let folder = project.folder().to_owned();
    let include = include.to_owned();
    // Without where it was deployed before: the same project makes the same files.
    let mut config = project.config.clone();
    config.status = None;
    if let Some(mut sandbox) = config.spec.sandbox.take() {
        sandbox.template_id = None;
        config.spec.sandbox = Some(sandbox).filter(|sandbox| !sandbox.extra.is_empty());
    }
    let name = project.file.name();
    let packing = tokio::task::spawn_blocking(move || {
        let mut bundle = Bundle::new(&folder, &include)?;
        let text = config
            .to_yaml()
            .map_err(|error| Failure::system("cannot write agent.yaml", error))?;
        bundle.text(&name, text);
        fill(&mut bundle)?;
        bundle.check_included(&include)?;
        bundle.pack()
    });
    packing
        .await
        .map_err(|error| Failure::system("cannot pack the project's files", error))?
}

/// `spec.files`: paths inside the project.
fn listed_files(config: &AgentConfig) -> Result<Vec<String>, Failure> {
    let wrong = || {
        Failure::new(Fault::Usage, "spec.files is not a list of paths")
            .next("write it like `files: [prompts, data/words.txt]`")
    };
    match config.spec.extra.get(FILES_KEY) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(paths)) => paths
            .iter()
            .map(|path| path.as_str().map(str::to_owned).ok_or_else(wrong))
            .collect(),
        Some(_) => Err(wrong()),
    }
}

/// `NAME=VALUE`, or `NAME` with the value that it has here.
fn variables(given: &[String]) -> Result<Vec<(String, String)>, Failure> {
    let variable = |text: &String| {
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, value.to_owned()),
            None => (
                text.as_str(),
                std::env::var(text).map_err(|_| {
                    Failure::new(Fault::Usage, format!("--env: {text} is not set here"))
                        .next(format!("set it, or write `--env {text}=VALUE`"))
                })?,
            ),
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        if !starts_well || !name.chars().all(plain) || value.contains('\0') {
            let what = format!("--env: {name:?} cannot be a variable");
            return Err(Failure::new(Fault::Usage, what).next("write it like `--env NAME=VALUE`"));
        }
        Ok((name.to_owned(), value))
    };
    given.iter().map(variable).collect()
}

async fn deploy(
    deployment: &Deployment,
    platform: &Platform,
    record: &mut Record,
    terminal: &Terminal,
) -> Result<BuildTicket, Failure> {
    terminal.note(&format!(
        "deploying {} {} to {}{}",
        deployment.name,
        deployment.version,
        platform.name(),
        platform.why()
    ));
    let ticket = deployment.announce(platform).await?;
    record.building(&ticket)?;
    terminal.event(&DeployEvent::Deploying {
        name: &deployment.name,
        version: &deployment.version,
        platform: &platform.name(),
        template_id: &ticket.template_id,
        build_id: &ticket.build_id,
    });
    deployment.build(&ticket, platform, terminal).await?;
    Ok(ticket)
}

fn tell(
    deployment: &Deployment,
    ticket: &BuildTicket,
    platform: &Platform,
    chosen: &PlatformArguments,
    terminal: &Terminal,
) {
    let (template_id, build_id) = (&ticket.template_id, &ticket.build_id);
    let place = match chosen {
        PlatformArguments { local: true, .. } => "--local ",
        PlatformArguments { remote: true, .. } => "--remote ",
        _ => "",
    };
    let invoke = format!(
        "ppio-sandbox-cli agent invoke {place}--template-id {template_id} --input 'hello there'"
    );
    let document = json!({
        "event": "deployed", "name": deployment.name, "version": deployment.version, "template_id": template_id,
        "build_id": build_id, "tags": deployment.tags(), "platform": platform.name(), "invoke": invoke,
    });
    terminal.result(&document, || {
        format!(
            "Deployed {}:{} to {}\n  template  {template_id}\n  build     {build_id}\n\nCall it:\n  {invoke}",
            deployment.name,
            deployment.tag(),
            platform.name(),
        )
    });
}

/// What agent.yaml says about the deployment.
#[derive(Debug)]
struct Record {
    file: AgentFile,
    /// As it was before.
    before: String,
    /// As it was last written here, if it was.
    written: Option<String>,
}

impl Record {
    /// Makes sure that the file can be changed at all, before anything is done that it should tell about.
    fn open(file: AgentFile) -> Result<Self, Failure> {
        let trial = BuildTicket {
            template_id: "t".into(),
            build_id: "b".into(),
            names: Vec::new(),
            aliases: Vec::new(),
            tags: Vec::new(),
            public: false,
        };
        let changes = [building(&trial), deployed(&trial)].concat();
        edit::apply(file.text(), &changes).map_err(|error| {
            let what = format!("{} cannot hold where the agent is deployed", file.name());
            Failure::new(Fault::Usage, what)
                .because(&error)
                .next("write `spec` and `status` as plain sections: one `key: value` a line, without anchors")
        })?;
        let before = file.text().to_owned();
        Ok(Self {
            file,
            before,
            written: None,
        })
    }

    fn building(&mut self, ticket: &BuildTicket) -> Result<(), Failure> {
        self.write(&building(ticket))
    }

    fn deployed(&mut self, ticket: &BuildTicket) -> Result<(), Failure> {
        self.write(&deployed(ticket)).map_err(|failure| Failure {
            what: format!("the agent is deployed, but {}", failure.what),
            ..failure
                .fact("template_id", &ticket.template_id)
                .fact("build_id", &ticket.build_id)
        })
    }

    /// Says so, if it said before that something is under way.
    fn failed(&mut self) -> Result<(), Failure> {
        match self.written {
            Some(_) => self.write(&[phase(&DeploymentPhase::Failed)]),
            None => Ok(()),
        }
    }

    /// Puts back what was there, unless somebody else wrote meanwhile.
    fn restore(&mut self) -> Result<(), Failure> {
        let Some(written) = self.written.take() else {
            return Ok(());
        };
        self.file.reload()?;
        if self.file.text() == written {
            self.file.write(self.before.clone())
        } else {
            self.write(&[phase(&DeploymentPhase::Failed)])
        }
    }

    fn write(&mut self, changes: &[Change]) -> Result<(), Failure> {
        // Its author may have saved it meanwhile.
        self.file.reload()?;
        let text = edit::apply(self.file.text(), changes).map_err(|error| {
            Failure::new(Fault::Usage, format!("cannot change {}", self.file.name()))
                .because(&error)
        })?;
        self.file.write(text.clone())?;
        self.written = Some(text);
        Ok(())
    }
}

fn phase(phase: &DeploymentPhase) -> Change {
    Change::text(&["status", "phase"], phase.as_str())
}

fn building(ticket: &BuildTicket) -> Vec<Change> {
    vec![
        phase(&DeploymentPhase::Building),
        Change::text(&["status", "template_id"], &*ticket.template_id),
        Change::text(&["status", "build_id"], &*ticket.build_id),
    ]
}

fn deployed(ticket: &BuildTicket) -> Vec<Change> {
    let now = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    vec![
        Change::text(&["spec", "sandbox", "template_id"], &*ticket.template_id),
        phase(&DeploymentPhase::Deployed),
        Change::text(&["status", "template_id"], &*ticket.template_id),
        Change::text(&["status", "last_deployed"], now),
        Change::text(&["status", "build_id"], &*ticket.build_id),
    ]
}
