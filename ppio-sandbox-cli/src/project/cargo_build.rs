//! The build step of a Rust project: `cargo build`, as `agent dev` and `agent deploy` run it.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use cargo_metadata::diagnostic::{Diagnostic, DiagnosticLevel};
use cargo_metadata::{Message, Metadata, TargetKind};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::error::{Failure, Fault};
use crate::project::Project;

/// How to build.
#[derive(Debug, Clone, Default)]
pub(crate) struct Build {
    /// With optimisations.
    pub(crate) release: bool,
    /// For another target than this machine, as in `x86_64-unknown-linux-musl`.
    pub(crate) target: Option<String>,
    /// Without cargo's progress; its errors are shown in any case.
    pub(crate) quiet: bool,
}

impl Build {
    /// Builds the program whose root is the project's entrypoint, and returns where it is.
    ///
    /// Cargo writes to standard error by itself, so its errors look as they always do. When the future is dropped,
    /// cargo and everything it started are ended.
    pub(crate) async fn run(&self, project: &Project) -> Result<PathBuf, Failure> {
        let built = self.cargo_build(project, Listener::Nobody).await?;
        Ok(built.executable)
    }

    /// [`run`](Self::run) for who keeps cargo's words: `hear` gets them piece by piece, `columns` wide and in colour if
    /// they are for a terminal.
    pub(crate) async fn run_heard(
        &self,
        project: &Project,
        columns: Option<u16>,
        hear: Hear<'_>,
    ) -> Result<Built, Failure> {
        self.cargo_build(project, Listener::ToCargo(columns, hear))
            .await
    }

    /// [`run`](Self::run) for who passes on what the compiler says, message by message, as it says it. Nothing goes to
    /// standard error; what is wrong is in the failure, too.
    pub(crate) async fn run_told(
        &self,
        project: &Project,
        tell: Tell<'_>,
    ) -> Result<PathBuf, Failure> {
        let built = self
            .cargo_build(project, Listener::ToTheCompiler(tell))
            .await?;
        Ok(built.executable)
    }

    async fn cargo_build(
        &self,
        project: &Project,
        listener: Listener<'_>,
    ) -> Result<Built, Failure> {
        let program = Program::find(project).await?;
        let mut command = cargo(project.folder());
        command
            .args(["build", "--message-format", listener.message_format()])
            .args(["--package", &program.package, "--bin", &program.name])
            .stdout(Stdio::piped());
        if self.release {
            command.arg("--release");
        }
        if let Some(target) = &self.target {
            command.args(["--target", target]);
        }
        if self.quiet {
            command.arg("--quiet");
        }
        let mut words = Vec::new();
        let mut keep = |said: &[u8]| words.extend_from_slice(said);
        let (hear, tell): (Option<Hear<'_>>, Option<Tell<'_>>) = match listener {
            Listener::Nobody => (None, None),
            Listener::ToCargo(columns, hear) => {
                look_like_a_terminal(&mut command, columns);
                (Some(hear), None)
            }
            Listener::ToTheCompiler(tell) => (Some(&mut keep), Some(tell)),
        };
        let is_told = tell.is_some();
        if hear.is_some() {
            command.stderr(Stdio::piped());
        }
        let mut cargo = Group::spawn(command)?;
        let stderr = cargo.child.stderr.take();
        let heard = async {
            match (stderr, hear) {
                (Some(stderr), Some(hear)) => pass_on(stderr, hear).await,
                _ => Ok(()),
            }
        };
        let mut errors = Vec::new();
        let (built, ()) = tokio::try_join!(built(&mut cargo, &program, tell, &mut errors), heard)
            .map_err(|error| Failure::system("cannot read what cargo says", error))?;
        let status = cargo.wait().await?;
        if !status.success() {
            let what = format!("{} does not compile", project.name());
            let mut failure = Failure::new(Fault::Agent, what);
            if !is_told {
                return Err(failure.next("cargo's errors are above; correct them and try again"));
            }
            // Where the compiler found nothing wrong, it is cargo that could not go on.
            if errors.is_empty() {
                let words = String::from_utf8_lossy(&words);
                errors.extend(words.lines().map(str::to_owned));
            }
            failure.why = errors;
            return Err(failure.next("correct the errors and try again"));
        }
        built.ok_or_else(|| {
            let what = format!("cargo built no program from {}", program.root.display());
            Failure::new(Fault::Usage, what)
        })
    }
}

/// Gets cargo's words, piece by piece.
type Hear<'a> = &'a mut (dyn FnMut(&[u8]) + Send);
/// Gets the compiler's messages.
type Tell<'a> = &'a mut (dyn FnMut(&Diagnostic) + Send);

/// Who listens to a build.
enum Listener<'a> {
    /// Cargo says what it has to say by itself.
    Nobody,
    /// Gets it as it would be on a terminal so many columns wide, if on any.
    ToCargo(Option<u16>, Hear<'a>),
    ToTheCompiler(Tell<'a>),
}

impl Listener<'_> {
    fn message_format(&self) -> &'static str {
        match self {
            Self::Nobody | Self::ToCargo(..) => "json-render-diagnostics",
            Self::ToTheCompiler(_) => "json",
        }
    }
}

/// What came out of a build.
#[derive(Debug)]
pub(crate) struct Built {
    pub(crate) executable: PathBuf,
    /// It was there already, and nothing it is made of has changed.
    pub(crate) is_fresh: bool,
}

/// Cargo's settings for what it finds out itself where its standard error is a terminal.
fn look_like_a_terminal(command: &mut Command, columns: Option<u16>) {
    let Some(columns) = columns else { return };
    let columns = columns.to_string();
    let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let colour = if no_colour { "never" } else { "always" };
    for (name, value) in [
        ("CARGO_TERM_COLOR", colour),
        ("CARGO_TERM_PROGRESS_WHEN", "always"),
        ("CARGO_TERM_PROGRESS_WIDTH", &columns),
    ] {
        if std::env::var_os(name).is_none() {
            command.env(name, value);
        }
    }
}

async fn pass_on(mut pipe: impl AsyncRead + Unpin, hear: Hear<'_>) -> std::io::Result<()> {
    let mut part = [0; 4096];
    loop {
        match pipe.read(&mut part).await? {
            0 => return Ok(()),
            length => hear(&part[..length]),
        }
    }
}

/// The folders of the packages that a build of the project reads its sources from, as far as they are on this machine
/// and no registry's: the project's own and what it depends on by path.
///
/// Asks no network, so a project whose dependencies were never fetched is an error.
pub(crate) async fn source_folders(project: &Project) -> Result<Vec<PathBuf>, Failure> {
    let metadata = metadata(project.folder(), &["--offline"]).await?;
    let local = metadata
        .packages
        .into_iter()
        .filter(|package| package.source.is_none());
    Ok(local
        .filter_map(|package| Some(package.manifest_path.parent()?.to_owned().into()))
        .collect())
}

/// A binary target of the project.
#[derive(Debug, PartialEq, Eq)]
struct Program {
    /// The package's id, which no dependency can share.
    package: String,
    name: String,
    root: PathBuf,
}

impl Program {
    /// The one whose root is the entrypoint.
    async fn find(project: &Project) -> Result<Self, Failure> {
        let Some(entrypoint) = &project.config.spec.entrypoint else {
            return Err(Failure::new(
                Fault::Usage,
                "agent.yaml names no entrypoint, add `spec.entrypoint: src/main.rs`",
            ));
        };
        let root = project.folder().join(entrypoint.as_str());
        let root = root.canonicalize().map_err(|error| {
            let what = format!(
                "the entrypoint {entrypoint} is not there",
                entrypoint = entrypoint.as_str()
            );
            Failure::new(Fault::Usage, what)
                .because(&error)
                .next("write the file, or correct `spec.entrypoint` in agent.yaml")
        })?;
        let metadata = metadata(project.folder(), &["--no-deps"]).await?;
        let mut others = Vec::new();
        for package in metadata.packages {
            for target in package.targets {
                if !target.kind.contains(&TargetKind::Bin) {
                    continue;
                }
                if target
                    .src_path
                    .canonicalize()
                    .is_ok_and(|path| path == root)
                {
                    let package = package.id.repr;
                    let name = target.name;
                    return Ok(Self {
                        package,
                        name,
                        root,
                    });
                }
                others.push(target.src_path.into_std_path_buf());
            }
        }
        let folder = project.folder();
        let others: Vec<_> = others
            .iter()
            .filter_map(|path| path.strip_prefix(folder).ok())
            .map(|path| format!("`{}`", path.display()))
            .collect();
        let what = format!("{} is the root of no program", entrypoint.as_str());
        let failure = Failure::new(Fault::Usage, what);
        Err(if others.is_empty() {
            failure.next("declare it as a `[[bin]]` in Cargo.toml")
        } else {
            failure.next(format!(
                "the project's programs start in {}; correct `spec.entrypoint` in agent.yaml, or declare a `[[bin]]`",
                others.join(", ")
            ))
        })
    }
}

/// What cargo knows about the project's packages.
async fn metadata(folder: &Path, options: &[&str]) -> Result<Metadata, Failure> {
    let mut command = cargo(folder);
    command
        .args(["metadata", "--format-version", "1"])
        .args(options)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let output = Group::spawn(command)?.output().await?;
    if !output.status.success() {
        let mut failure = Failure::new(Fault::Agent, "cargo cannot read the project");
        let said = String::from_utf8_lossy(&output.stderr);
        failure.why.extend(said.lines().map(str::to_owned));
        return Err(failure.next("correct Cargo.toml"));
    }
    serde_json::from_slice(&output.stdout)
        .map_err(|error| Failure::system("cannot read what cargo says about the project", error))
}

/// Reads cargo's messages to their end and picks the program from them.
async fn built(
    cargo: &mut Group,
    program: &Program,
    mut tell: Option<Tell<'_>>,
    errors: &mut Vec<String>,
) -> std::io::Result<Option<Built>> {
    let Some(stdout) = cargo.child.stdout.take() else {
        return Ok(None);
    };
    let mut lines = BufReader::new(stdout).lines();
    let mut found = None;
    while let Some(line) = lines.next_line().await? {
        // Build scripts may print between the messages.
        match serde_json::from_str(&line) {
            Ok(Message::CompilerArtifact(artifact))
                if artifact.target.name == program.name
                    && artifact.target.kind.contains(&TargetKind::Bin) =>
            {
                let is_fresh = artifact.fresh;
                found = artifact.executable.map(|path| Built {
                    executable: path.into(),
                    is_fresh,
                });
            }
            Ok(Message::CompilerMessage(said)) => {
                if let Some(tell) = &mut tell {
                    tell(&said.message);
                }
                if matches!(
                    said.message.level,
                    DiagnosticLevel::Error | DiagnosticLevel::Ice
                ) {
                    let text = said.message.rendered.unwrap_or(said.message.message);
                    errors.push(text);
                }
            }
            _ => {}
        }
    }
    Ok(found)
}

fn cargo(folder: &Path) -> Command {
    // The one that runs us, under `cargo run` or as a cargo subcommand.
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.current_dir(folder).stdin(Stdio::null());
    command
}

/// A program with all it starts: a process group, which ends with this value.
#[derive(Debug)]
struct Group {
    child: Child,
}

impl Group {
    fn spawn(mut command: Command) -> Result<Self, Failure> {
        let program = command.as_std().get_program().to_owned();
        // A group of its own: rustc and build scripts must end too, and ending ourselves must not depend on a
        // terminal that tells them.
        let child = command.process_group(0).spawn().map_err(|error| {
            let what = format!("cannot run {}", program.display());
            Failure::system(what, error).next("install Rust from https://rustup.rs")
        })?;
        Ok(Self { child })
    }

    async fn wait(&mut self) -> Result<ExitStatus, Failure> {
        let status = self.child.wait().await;
        status.map_err(|error| Failure::system("cannot wait for cargo", error))
    }

    async fn output(mut self) -> Result<std::process::Output, Failure> {
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let (out, err) = (self.child.stdout.take(), self.child.stderr.take());
        let read = async {
            tokio::try_join!(
                async {
                    match out {
                        Some(mut out) => out.read_to_end(&mut stdout).await,
                        None => Ok(0),
                    }
                },
                async {
                    match err {
                        Some(mut err) => err.read_to_end(&mut stderr).await,
                        None => Ok(0),
                    }
                }
            )
        };
        read.await
            .map_err(|error| Failure::system("cannot read what cargo says", error))?;
        let status = self.wait().await?;
        Ok(std::process::Output {
            status,
            stdout,
            stderr,
        })
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        use rustix::process::{Pid, Signal, kill_process_group};
        // The id is there until the child was waited for, so it cannot be another's.
        let id = self.child.id().and_then(|id| i32::try_from(id).ok());
        if let Some(group) = id.and_then(Pid::from_raw) {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}
