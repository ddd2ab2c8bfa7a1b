//! `cargo build`, as `agent dev` and `agent deploy` run it.

mod bin_target;
mod process;
pub(crate) mod toolchain;

use std::io;
use std::path::PathBuf;
use std::process::Stdio;

use cargo_metadata::diagnostic::{Diagnostic, DiagnosticLevel};
use cargo_metadata::{Message, TargetKind};
use ppio_agent_protocol::environment;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, BufReader};
use tokio::process::{ChildStdout, Command};

pub(crate) use self::bin_target::{check_manifest, source_folders};

use self::bin_target::BinTarget;
use self::process::CargoProcess;
use crate::error::{CliError, ExitKind};
use crate::project::Project;

/// The options of a build.
#[derive(Debug, Clone, Default)]
pub(crate) struct CargoBuild {
    pub(crate) release: bool,
    /// A target triple; `None` for the host.
    pub(crate) target: Option<String>,
    /// Whether cargo's progress is left out. Errors are shown in any case.
    pub(crate) quiet: bool,
}

/// Receives cargo's standard error, in chunks.
type WriteOutput<'a> = &'a mut (dyn FnMut(&[u8]) + Send);
/// Receives the compiler's messages.
type ReportDiagnostic<'a> = &'a mut (dyn FnMut(&Diagnostic) + Send);

/// The destination of the output of a build.
pub(crate) enum BuildOutput<'a> {
    /// Cargo writes to standard error itself.
    Inherit,
    /// Cargo's standard error is passed to `write`, formatted for a terminal of `columns` columns
    /// if there is a terminal.
    Capture {
        columns: Option<u16>,
        write: WriteOutput<'a>,
    },
    /// Each message of the compiler is passed on when it arrives. Nothing goes to standard error;
    /// the errors are the causes of the returned error.
    Diagnostics(ReportDiagnostic<'a>),
}

impl BuildOutput<'_> {
    fn message_format(&self) -> &'static str {
        match self {
            Self::Inherit | Self::Capture { .. } => "json-render-diagnostics",
            Self::Diagnostics(_) => "json",
        }
    }
}

/// The result of a build.
#[derive(Debug)]
pub(crate) struct BuiltProgram {
    pub(crate) executable: PathBuf,
    /// Whether cargo did not have to rebuild the program.
    pub(crate) is_fresh: bool,
}

impl CargoBuild {
    /// Builds the binary whose source file is the project's entrypoint.
    ///
    /// When the future is dropped, cargo and every process that it started are killed.
    pub(crate) async fn run(
        &self,
        project: &Project,
        output: BuildOutput<'_>,
    ) -> Result<BuiltProgram, CliError> {
        let target = BinTarget::find(project).await?;
        let mut command = self.command(project, &target, output.message_format());
        let mut stderr = Vec::new();
        let mut keep = |bytes: &[u8]| stderr.extend_from_slice(bytes);
        let (write, report): (Option<WriteOutput<'_>>, Option<ReportDiagnostic<'_>>) = match output
        {
            BuildOutput::Inherit => (None, None),
            BuildOutput::Capture { columns, write } => {
                format_for_terminal(&mut command, columns);
                (Some(write), None)
            }
            BuildOutput::Diagnostics(report) => (Some(&mut keep), Some(report)),
        };
        let reports_diagnostics = report.is_some();
        if write.is_some() {
            command.stderr(Stdio::piped());
        }
        let mut cargo = CargoProcess::spawn(command)?;
        let (stdout, pipe) = (cargo.child.stdout.take(), cargo.child.stderr.take());
        let copied = async {
            match (pipe, write) {
                (Some(pipe), Some(write)) => copy(pipe, write).await,
                _ => Ok(()),
            }
        };
        let mut errors = Vec::new();
        let messages = read_messages(stdout, &target, report, &mut errors);
        let (built, ()) = tokio::try_join!(messages, copied)
            .map_err(|error| CliError::system("cannot read the output of cargo", error))?;
        if !cargo.wait().await?.success() {
            // Otherwise the error would look like one of the project.
            toolchain::check(project.folder()).await?;
            let message = format!("{} does not compile", project.name());
            let error = CliError::new(ExitKind::Agent, message);
            if !reports_diagnostics {
                return Err(error.help("cargo's errors are above; correct them and try again"));
            }
            // Without an error of the compiler, cargo itself failed.
            if errors.is_empty() {
                let stderr = String::from_utf8_lossy(&stderr);
                errors.extend(stderr.lines().map(str::to_owned));
            }
            return Err(CliError {
                causes: errors,
                ..error.help("correct the errors and try again")
            });
        }
        built.ok_or_else(|| {
            let message = format!("cargo built no program from {}", target.root.display());
            CliError::new(ExitKind::Usage, message)
        })
    }

    fn command(&self, project: &Project, target: &BinTarget, message_format: &str) -> Command {
        let mut command = process::command(project.folder());
        command
            .args(["build", "--message-format", message_format])
            .args(["--package", &target.package, "--bin", &target.name])
            .stdout(Stdio::piped());
        if self.release {
            command.arg("--release");
        }
        if let Some(triple) = &self.target {
            command.args(["--target", triple]);
        }
        if self.quiet {
            command.arg("--quiet");
        }
        command
    }
}

/// Sets what cargo would detect itself if its standard error were a terminal.
fn format_for_terminal(command: &mut Command, columns: Option<u16>) {
    let Some(columns) = columns else { return };
    let columns = columns.to_string();
    let no_colour = environment::variable("NO_COLOR").is_some();
    let colour = if no_colour { "never" } else { "always" };
    for (name, value) in [
        ("CARGO_TERM_COLOR", colour),
        ("CARGO_TERM_PROGRESS_WHEN", "always"),
        ("CARGO_TERM_PROGRESS_WIDTH", &columns),
    ] {
        if environment::variable(name).is_none() {
            command.env(name, value);
        }
    }
}

async fn copy(mut pipe: impl AsyncRead + Unpin, write: WriteOutput<'_>) -> io::Result<()> {
    let mut buffer = [0; 4096];
    loop {
        match pipe.read(&mut buffer).await? {
            0 => return Ok(()),
            length => write(&buffer[..length]),
        }
    }
}

/// Reads cargo's messages to their end. Returns the program, and adds the compiler's errors to
/// `errors`.
async fn read_messages(
    stdout: Option<ChildStdout>,
    target: &BinTarget,
    mut report: Option<ReportDiagnostic<'_>>,
    errors: &mut Vec<String>,
) -> io::Result<Option<BuiltProgram>> {
    let Some(stdout) = stdout else {
        return Ok(None);
    };
    let mut lines = BufReader::new(stdout).lines();
    let mut built = None;
    while let Some(line) = lines.next_line().await? {
        // Build scripts may print other lines between the messages.
        match serde_json::from_str(&line) {
            Ok(Message::CompilerArtifact(artifact))
                if artifact.target.name == target.name
                    && artifact.target.kind.contains(&TargetKind::Bin) =>
            {
                let is_fresh = artifact.fresh;
                built = artifact.executable.map(|path| BuiltProgram {
                    executable: path.into(),
                    is_fresh,
                });
            }
            Ok(Message::CompilerMessage(compiler)) => {
                let diagnostic = compiler.message;
                if let Some(report) = &mut report {
                    report(&diagnostic);
                }
                if matches!(
                    diagnostic.level,
                    DiagnosticLevel::Error | DiagnosticLevel::Ice
                ) {
                    errors.push(diagnostic.rendered.unwrap_or(diagnostic.message));
                }
            }
            _ => {}
        }
    }
    Ok(built)
}
