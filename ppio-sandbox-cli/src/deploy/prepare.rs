//! Prepares the items of a deployment that need no platform: the program, the files, the metadata
//! and variables of the template.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use cargo_metadata::diagnostic::Diagnostic;
use ppio_agent_protocol::{AgentConfig, Entrypoint, TEMPLATE_METADATA_KEY};
use serde_json::Value;

use super::bundle::{Archive, Bundle, LeftOutReason};
use super::compile_target::CompileTarget;
use super::deployment::Deployment;
use super::event::DeployEvent;
use super::program::AgentProgram;
use super::python_packages::{PythonPackages, REQUIREMENTS};
use crate::arguments::DeployArguments;
use crate::error::{CliError, ExitKind};
use crate::project::Project;
use crate::project::cargo::{BuildOutput, CargoBuild};
use crate::terminal::{OutputFormat, Terminal};

/// The key of the template's metadata that holds the target of a Rust program: a triple or
/// [`HOST`].
const TARGET_KEY: &str = "agent_target";
/// The value of [`TARGET_KEY`] for a program that was built for the host.
const HOST: &str = "host";
/// The key of `spec` that lists the files that are sent along with a Rust program.
const FILES_KEY: &str = "files";

/// Compiles and packs the project.
pub(super) async fn deployment(
    project: &Project,
    arguments: &DeployArguments,
    local: bool,
    variables: Vec<(String, String)>,
    terminal: &Terminal,
) -> Result<Deployment, CliError> {
    let config = &project.config;
    let entrypoint = config.spec.entrypoint.as_ref();
    let (program, archive, target) = if entrypoint.is_some_and(Entrypoint::is_python) {
        let (program, archive) = python(project, &arguments.include, terminal).await?;
        (program, archive, None)
    } else {
        let target = match &arguments.target {
            Some(name) => CompileTarget::named(name),
            None => CompileTarget::find(project.folder(), local, terminal).await?,
        };
        let built = rust(project, &target, &arguments.include, terminal).await;
        let (program, archive) = built.map_err(|error| {
            if arguments.target.is_none() {
                with_host_target_help(error, &target)
            } else {
                error
            }
        })?;
        (program, archive, Some(target))
    };
    report_left_out(&archive, terminal);
    if let Some(message) = archive.sizes.warning() {
        warn(&message, terminal);
    }
    let runtime = config.spec.runtime.as_ref();
    let template_config = template_config(config)?;
    let mut metadata = BTreeMap::from([(TEMPLATE_METADATA_KEY.to_owned(), template_config)]);
    if let Some(target) = target {
        let target = target.triple().unwrap_or(HOST);
        metadata.insert(TARGET_KEY.to_owned(), target.to_owned());
    }
    Ok(Deployment {
        name: project.name().to_owned(),
        version: config.metadata.version.clone(),
        cpu_count: runtime.and_then(|runtime| Some(runtime.cpu_limit?.cpu_count())),
        memory_mb: runtime.and_then(|runtime| Some(runtime.memory_limit?.mebibytes())),
        metadata,
        variables,
        program,
        archive,
    })
}

async fn rust(
    project: &Project,
    target: &CompileTarget,
    include: &[String],
    terminal: &Terminal,
) -> Result<(AgentProgram, Archive), CliError> {
    let files = listed_files(&project.config)?;
    let executable = compile(project, target, terminal).await?;
    let name = executable.file_name().unwrap_or_default();
    let name = name.to_string_lossy().into_owned();
    let program = AgentProgram::Binary(name.clone());
    let archive = pack(project, include, move |bundle| {
        for path in &files {
            bundle.add_listed(path)?;
        }
        bundle.add_program(&name, executable)
    });
    Ok((program, archive.await?))
}

/// Adds `--target host` to the help if this command chose the static target: C code needs a C
/// compiler for that target, which may be missing.
fn with_host_target_help(mut error: CliError, target: &CompileTarget) -> CliError {
    if let (ExitKind::Agent, Some(triple), Some(help)) =
        (error.kind, target.triple(), &mut error.help)
    {
        *help = format!("{help}, or with `--target host` if the build fails only for {triple}");
    }
    error
}

async fn compile(
    project: &Project,
    target: &CompileTarget,
    terminal: &Terminal,
) -> Result<PathBuf, CliError> {
    let cargo = CargoBuild {
        release: true,
        target: target.triple().map(str::to_owned),
        quiet: !terminal.is_verbose(),
    };
    if terminal.format() == OutputFormat::Text {
        let built = cargo.run(project, BuildOutput::Inherit).await?;
        return Ok(built.executable);
    }
    let started = Instant::now();
    terminal.event(&DeployEvent::Compiling {
        target: target.triple().unwrap_or(HOST),
    });
    let mut report = |diagnostic: &Diagnostic| {
        terminal.event(&DeployEvent::Compiler {
            level: diagnostic.level,
            message: diagnostic
                .rendered
                .as_deref()
                .unwrap_or(&diagnostic.message),
        });
    };
    let output = BuildOutput::Diagnostics(&mut report);
    let built = cargo.run(project, output).await?;
    let duration = started.elapsed().as_secs_f64();
    terminal.event(&DeployEvent::Compiled { duration });
    Ok(built.executable)
}

/// Prints a warning, or the event with JSON output.
fn warn(message: &str, terminal: &Terminal) {
    terminal.event(&DeployEvent::Warning { message });
    terminal.warn(message);
}

async fn python(
    project: &Project,
    include: &[String],
    terminal: &Terminal,
) -> Result<(AgentProgram, Archive), CliError> {
    let entrypoint = project.config.spec.entrypoint.as_ref();
    let file = entrypoint.map_or("agent.py", |file| file.as_str());
    let file = file.to_owned();
    if !project.folder().join(&file).is_file() {
        let message = format!("the entrypoint {file} does not exist");
        return Err(CliError::new(ExitKind::Usage, message)
            .help("write the file, or correct `spec.entrypoint` in agent.yaml"));
    }
    let packages = PythonPackages::find(project.folder())?;
    if let Some(message) = packages.lock_warning(project.folder()) {
        warn(&message, terminal);
    }
    let (agent, needed) = (file.clone(), packages.clone());
    let archive = pack(project, include, move |bundle| {
        if let Some(text) = needed.generated_requirements() {
            bundle.add_text(REQUIREMENTS, text);
        }
        bundle.add_project()?;
        if !bundle.contains(&agent) {
            let message = format!(".dockerignore leaves out the entrypoint {agent}");
            return Err(CliError::new(ExitKind::Usage, message).help(format!(
                "add the line `!{agent}` at the end of .dockerignore"
            )));
        }
        let files = needed.needed_files();
        if !files.is_empty() && !files.iter().any(|file| bundle.contains(file)) {
            let files = files.join(" and ");
            let message = format!(".dockerignore leaves out {files}, which the build reads");
            return Err(
                CliError::new(ExitKind::Usage, message).help("remove the line from .dockerignore")
            );
        }
        Ok(())
    });
    let program = AgentProgram::PythonScript { file, packages };
    Ok((program, archive.await?))
}

/// Packs agent.yaml and the files that `fill` adds into an archive, on a thread that may block.
async fn pack(
    project: &Project,
    include: &[String],
    fill: impl FnOnce(&mut Bundle) -> Result<(), CliError> + Send + 'static,
) -> Result<Archive, CliError> {
    let folder = project.folder().to_owned();
    let include = include.to_owned();
    // Excludes the results of earlier deployments, so that the same project always gives the same
    // archive.
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
            .map_err(|error| CliError::system("cannot write agent.yaml", error))?;
        bundle.add_text(&name, text);
        fill(&mut bundle)?;
        bundle.check_included(&include)?;
        bundle.pack()
    });
    packing
        .await
        .map_err(|error| CliError::system("cannot pack the project's files", error))?
}

/// Returns the paths of `spec.files`.
fn listed_files(config: &AgentConfig) -> Result<Vec<String>, CliError> {
    let invalid = || {
        CliError::new(ExitKind::Usage, "spec.files is not a list of paths")
            .help("write the list as in `files: [prompts, data/words.txt]`")
    };
    match config.spec.extra.get(FILES_KEY) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(paths)) => paths
            .iter()
            .map(|path| path.as_str().map(str::to_owned).ok_or_else(invalid))
            .collect(),
        Some(_) => Err(invalid()),
    }
}

/// Returns the configuration that the template's metadata holds: agent.yaml without `status` and
/// `spec.sandbox` and, for a Rust agent, without its entrypoint, because clients start a template
/// that has an entrypoint with Python.
fn template_config(config: &AgentConfig) -> Result<String, CliError> {
    let mut config = config.clone();
    config.status = None;
    config.spec.sandbox = None;
    let entrypoint = config.spec.entrypoint.as_ref();
    if entrypoint.is_some_and(Entrypoint::is_rust) {
        config.spec.entrypoint = None;
    }
    let json = config.to_json();
    json.map_err(|error| CliError::system("cannot write the agent's configuration", error))
}

/// Lists the files of the project that are not sent.
fn report_left_out(archive: &Archive, terminal: &Terminal) {
    let files = &archive.left_out;
    if files.is_empty() {
        return;
    }
    terminal.event(&DeployEvent::LeftOut { files });
    let mut any_secret = false;
    for file in files {
        let reason = match file.reason {
            LeftOutReason::Secret => "the name of a secret",
            LeftOutReason::BrokenLink => "a broken link",
            LeftOutReason::VirtualEnvironment => "a virtual environment",
            LeftOutReason::NotAFile => "neither a file nor a folder",
        };
        any_secret |= file.reason == LeftOutReason::Secret;
        terminal.note(&format!("left out {}: {reason}", file.path));
    }
    if any_secret {
        terminal.note(
            "send a secret anyway with `--include PATTERN`, or pass a single value with \
             `--env NAME`",
        );
    }
}
