//! The target that a program is compiled for.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use tokio::process::Command;

use super::event::DeployEvent;
use crate::error::{CliError, ExitKind};
use crate::external_program::stdout_of;
use crate::project::cargo::toolchain;
use crate::terminal::Terminal;

/// The architecture of the cloud's sandboxes.
const CLOUD_ARCHITECTURE: &str = "x86_64";

/// A target triple, or `None` for the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CompileTarget(Option<String>);

/// The rustc of a project.
#[derive(Debug)]
struct InstalledCompiler {
    host: String,
    sysroot: PathBuf,
}

impl CompileTarget {
    /// Returns the target that the value of `--target` names: a triple, or `host`.
    pub(super) fn named(name: &str) -> Self {
        Self((name != "host").then(|| name.to_owned()))
    }

    /// Returns the static target if it is installed, otherwise the host. Prints a warning if a
    /// program for the host may not run in the sandboxes of the cloud.
    ///
    /// # Errors
    /// If rustc cannot be run, or a program for the host does not run in the sandboxes of the
    /// cloud.
    pub(super) async fn find(
        folder: &Path,
        is_local: bool,
        terminal: &Terminal,
    ) -> Result<Self, CliError> {
        let compiler = InstalledCompiler::find(folder).await?;
        let host_architecture = compiler.host.split('-').next().unwrap_or_default();
        let architecture = if is_local {
            host_architecture
        } else {
            CLOUD_ARCHITECTURE
        };
        let musl = format!("{architecture}-unknown-linux-musl");
        let is_linux = compiler.host.contains("-linux-");
        if compiler.has(&musl) && (is_linux || !is_local) {
            return Ok(Self(Some(musl)));
        }
        // Local sandboxes are processes of this machine.
        if is_local {
            return Ok(Self(None));
        }
        let install = compiler.install_help(&musl);
        if is_linux && host_architecture == CLOUD_ARCHITECTURE {
            let message = format!(
                "the program is built for {} and needs {} or newer in the sandbox; for a static \
                 program, {install} and deploy again",
                compiler.host,
                c_library().await
            );
            terminal.event(&DeployEvent::Warning { message: &message });
            terminal.warn(&message);
            return Ok(Self(None));
        }
        let message = format!(
            "a program for {} does not run in the cloud's sandboxes, which are Linux on \
             {CLOUD_ARCHITECTURE}",
            compiler.host
        );
        Err(CliError::new(ExitKind::System, message).help(format!("{install} and deploy again")))
    }

    pub(super) fn triple(&self) -> Option<&str> {
        self.0.as_deref()
    }
}

/// Returns the C library of this machine, as in `glibc 2.36`. If `getconf` prints no version of
/// glibc, returns a text without a version.
async fn c_library() -> String {
    let mut command = Command::new("getconf");
    command.arg("GNU_LIBC_VERSION");
    let version = stdout_of(command).await.unwrap_or_default();
    match version.trim() {
        version if version.starts_with("glibc ") => version.to_owned(),
        _ => "the C library of this machine".to_owned(),
    }
}

impl InstalledCompiler {
    /// Runs rustc in the project's folder, which may select a toolchain.
    async fn find(folder: &Path) -> Result<Self, CliError> {
        let version = toolchain::rustc(folder, &["--version", "--verbose"]).await?;
        let sysroot = toolchain::rustc(folder, &["--print", "sysroot"]).await?;
        let host = version
            .lines()
            .find_map(|line| line.strip_prefix("host: "))
            .unwrap_or_default()
            .to_owned();
        let sysroot = sysroot.trim().into();
        Ok(Self { host, sysroot })
    }

    /// Returns how to install the standard library of a target for this compiler.
    fn install_help(&self, target: &str) -> String {
        let folder = self.sysroot.parent().and_then(Path::file_name);
        let name = self.sysroot.file_name().and_then(OsStr::to_str);
        match name.filter(|_| folder == Some("toolchains".as_ref())) {
            Some(name) => format!("run `rustup target add --toolchain {name} {target}`"),
            None => format!(
                "install Rust's standard library for {target} from the source of the Rust in {}, \
                 or use rustup and `rustup target add {target}`,",
                self.sysroot.display()
            ),
        }
    }

    fn has(&self, target: &str) -> bool {
        let libraries = self.sysroot.join("lib/rustlib").join(target).join("lib");
        libraries.is_dir()
    }
}
