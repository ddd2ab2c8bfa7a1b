//! Which machine a program is built for.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;

use crate::deploy::event::DeployEvent;
use crate::error::{Failure, Fault};
use crate::terminal::Terminal;

/// The processor of the cloud's sandboxes.
const CLOUD: &str = "x86_64";

/// What cargo is told, `None` for this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target(Option<String>);

/// What rustc knows about itself.
#[derive(Debug)]
struct Compiler {
    host: String,
    sysroot: PathBuf,
}

impl Target {
    /// The one that was asked for: a triple, or `host`.
    pub(crate) fn named(name: &str) -> Self {
        Self((name != "host").then(|| name.to_owned()))
    }

    /// A static one where it is installed, this machine otherwise, with a warning where that can matter.
    pub(crate) async fn find(
        folder: &Path,
        is_local: bool,
        terminal: &Terminal,
    ) -> Result<Self, Failure> {
        let compiler = Compiler::find(folder).await?;
        let own = compiler.host.split('-').next().unwrap_or_default();
        let wanted = if is_local { own } else { CLOUD };
        let musl = format!("{wanted}-unknown-linux-musl");
        let is_linux = compiler.host.contains("-linux-");
        // Here, what runs on this machine is right whatever it is.
        if compiler.has(&musl) && (is_linux || !is_local) {
            return Ok(Self(Some(musl)));
        }
        if is_local {
            return Ok(Self(None));
        }
        let install = compiler.how_to_get(&musl);
        if is_linux && own == CLOUD {
            let message = format!(
                "the program is built for {} and needs {} or newer in the sandbox; for one that needs nothing there, {install} and deploy again",
                compiler.host,
                c_library().await
            );
            terminal.event(&DeployEvent::Warning { message: &message });
            terminal.warn(&message);
            return Ok(Self(None));
        }
        let what = format!(
            "a program for {} does not run in the cloud's sandboxes, which are Linux on {CLOUD}",
            compiler.host
        );
        Err(Failure::new(Fault::System, what).next(format!("{install} and deploy again")))
    }

    pub(crate) fn triple(&self) -> Option<&str> {
        self.0.as_deref()
    }
}

/// This machine's, as in `glibc 2.36`.
async fn c_library() -> String {
    let asked = Command::new("getconf")
        .arg("GNU_LIBC_VERSION")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await;
    let version = asked.map(|asked| String::from_utf8_lossy(&asked.stdout).trim().to_owned());
    match version {
        Ok(version) if version.starts_with("glibc ") => version,
        _ => "the C library of this machine".to_owned(),
    }
}

impl Compiler {
    /// The one that the project uses: its folder may name a toolchain.
    async fn find(folder: &Path) -> Result<Self, Failure> {
        let ask = async |arguments: &[&str]| {
            Command::new("rustc")
                .args(arguments)
                .current_dir(folder)
                .stdin(Stdio::null())
                .kill_on_drop(true)
                .output()
                .await
                .map_err(|error| {
                    Failure::system("cannot run rustc", error)
                        .next("install Rust from https://rustup.rs")
                })
        };
        let version = ask(&["--version", "--verbose"]).await?;
        let sysroot = ask(&["--print", "sysroot"]).await?;
        let version = String::from_utf8_lossy(&version.stdout).into_owned();
        let host = version
            .lines()
            .find_map(|line| line.strip_prefix("host: "))
            .unwrap_or_default()
            .to_owned();
        let sysroot = String::from_utf8_lossy(&sysroot.stdout).trim().into();
        Ok(Self { host, sysroot })
    }

    /// The command that installs the standard library of a target for this compiler and no other.
    fn how_to_get(&self, target: &str) -> String {
        let folder = self.sysroot.parent().and_then(Path::file_name);
        let name = self.sysroot.file_name().and_then(OsStr::to_str);
        match name.filter(|_| folder == Some("toolchains".as_ref())) {
            Some(name) => format!("run `rustup target add --toolchain {name} {target}`"),
            None => format!(
                "install Rust's standard library for {target} from where this Rust in {} came, or use rustup and `rustup target add {target}`,",
                self.sysroot.display()
            ),
        }
    }

    fn has(&self, target: &str) -> bool {
        let libraries = self.sysroot.join("lib/rustlib").join(target).join("lib");
        libraries.is_dir()
    }
}
