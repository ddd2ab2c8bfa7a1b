//! The toolchain, what keeps sandboxes apart, and Python.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use ppio_sandbox_local::{IsolationKind, LocalPlatform, UnenforcedLimit};
use tokio::process::Command;
use tokio::time::timeout;

use super::{Check, Status};
use crate::platform::local::Interpreter;
use crate::platform::local::isolation_report::names;

/// How long a program may take to say its version.
const ANSWER: Duration = Duration::from_secs(20);
/// The oldest compiler that builds an agent.
const OLDEST: &str = env!("CARGO_PKG_RUST_VERSION");
const RUSTUP: &str = "install Rust from https://rustup.rs";

pub(super) async fn toolchain() -> Vec<Check> {
    let (cargo, rustc, linker) = tokio::join!(
        says("cargo", &["--version"]),
        says("rustc", &["-vV"]),
        says("cc", &["--version"])
    );
    let mut checks = vec![match cargo {
        Some(text) => Check::ok("cargo", second_word(&text)),
        None => Check::new("cargo", Status::Fail, "it is not on the PATH").help(RUSTUP),
    }];
    match rustc {
        Some(text) => {
            checks.push(compiler(&text));
            checks.push(static_target(&text).await);
        }
        None => {
            checks.push(Check::new("rustc", Status::Fail, "it is not on the PATH").help(RUSTUP));
        }
    }
    checks.push(match linker {
        Some(text) => Check::ok("linker", text.lines().next().unwrap_or_default()),
        None => Check::new(
            "linker",
            Status::Fail,
            "`cc` is not on the PATH, which Rust links with",
        )
        .help("install gcc or clang, as in `apt install gcc`"),
    });
    checks
}

fn compiler(text: &str) -> Check {
    let release = field(text, "release:").unwrap_or_default();
    if version(&release) >= version(OLDEST) {
        return Check::ok("rustc", release);
    }
    Check::new(
        "rustc",
        Status::Fail,
        format!("{release} is too old, agents need {OLDEST} or later"),
    )
    .help("`rustup update stable`")
}

/// The target whose programs run in every sandbox, whatever C library it has.
async fn static_target(rustc: &str) -> Check {
    let host = field(rustc, "host:").unwrap_or_default();
    let machine = host.split('-').next().unwrap_or_default();
    let target = format!("{machine}-unknown-linux-musl");
    let folder = says("rustc", &["--print", "target-libdir", "--target", &target]).await;
    if folder.is_some_and(|folder| Path::new(folder.trim()).is_dir()) {
        return Check::ok("target", format!("{target} is installed"));
    }
    Check::new(
        "target",
        Status::Warn,
        format!("{target} is not installed: deployed agents need the C library of this machine"),
    )
    .help(format!("`rustup target add {target}`"))
}

/// Starts a platform, since being installed does not mean being allowed: first one that keeps sandboxes apart.
pub(super) async fn isolation() -> Vec<Check> {
    let (limits, apart) = match limits_with(IsolationKind::Bubblewrap).await {
        Ok(limits) => (Ok(limits), Ok(())),
        Err(reason) => (limits_with(IsolationKind::ProcessGroup).await, Err(reason)),
    };
    let mut checks = vec![isolation_check(apart)];
    checks.push(match limits {
        Ok(limits) => limits_check(&limits),
        Err(reason) => Check::new(
            "limits",
            Status::Warn,
            format!("the local platform does not start: {reason}"),
        ),
    });
    checks
}

/// The limits that a platform with this isolation does not enforce here.
async fn limits_with(kind: IsolationKind) -> Result<Vec<UnenforcedLimit>, String> {
    let home = tempfile::tempdir().map_err(|error| error.to_string())?;
    let platform = LocalPlatform::builder()
        .home(home.path())
        .isolation(kind)
        .start()
        .await
        .map_err(|error| error.to_string())?;
    let limits = platform.unenforced_limits().to_vec();
    platform
        .shutdown()
        .await
        .map_err(|error| error.to_string())?;
    Ok(limits)
}

fn isolation_check(apart: Result<(), String>) -> Check {
    const NAME: &str = "bubblewrap";
    match apart {
        Ok(()) => Check::ok(
            NAME,
            "it keeps the sandboxes of the local platform apart, but for the network, which is this machine's",
        ),
        Err(reason) => Check::new(
            NAME,
            Status::Warn,
            format!("the local platform does not keep sandboxes apart: {reason}"),
        )
        .help("install it, as in `apt install bubblewrap`, and allow user namespaces; until then run only agents that you trust"),
    }
}

fn limits_check(limits: &[UnenforcedLimit]) -> Check {
    const NAME: &str = "limits";
    if limits.is_empty() {
        return Check::ok(NAME, "all limits of sandboxes are enforced");
    }
    let reasons: Vec<_> = limits.iter().map(ToString::to_string).collect();
    let message = format!("sandboxes without a limit of {}", names(limits));
    Check::new(NAME, Status::Warn, message).help(reasons.join("; "))
}

pub(super) async fn python() -> Check {
    match Interpreter::find().await {
        Some(interpreter) => Check::ok("python", interpreter.version),
        None => Check::new(
            "python",
            Status::Warn,
            "`python3` is not on the PATH or does not run",
        )
        .help("only agents written in Python need it"),
    }
}

/// What a program prints; `None` if it is not there, fails or hangs.
async fn says(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = timeout(ANSWER, output).await.ok()?.ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    output.status.success().then_some(text)
}

fn second_word(text: &str) -> &str {
    text.split_whitespace().nth(1).unwrap_or_default()
}

fn field(text: &str, name: &str) -> Option<String> {
    let value = text.lines().find_map(|line| line.strip_prefix(name))?;
    Some(value.trim().to_owned())
}

/// The numbers of a version, without what follows a hyphen.
fn version(text: &str) -> Vec<u32> {
    let numbers = text.split('-').next().unwrap_or_default();
    numbers
        .split('.')
        .map_while(|part| part.parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_compiler_fails_with_a_remedy() {
        let old = compiler("rustc 1.70.0 (x)\nrelease: 1.70.0\nhost: x86_64-unknown-linux-gnu\n");
        assert_eq!(old.status, Status::Fail);
        assert!(
            old.message.contains(OLDEST) && old.help.is_some(),
            "{old:?}"
        );
        for release in [OLDEST, "1.100.0", "2.0.0-nightly"] {
            let check = compiler(&format!("rustc x\nrelease: {release}\n"));
            assert_eq!(
                (check.status, check.message.as_str()),
                (Status::Ok, release)
            );
        }
    }
}
