//! Checks of the toolchain, of the isolation of sandboxes, of their host names, and of Python.

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use ppio_sandbox_local::{IsolationKind, LocalPlatform, UnenforcedLimit};
use tokio::net::lookup_host;
use tokio::process::Command;
use tokio::time::timeout;

use super::{Check, CheckStatus};
use crate::external_program::{ProgramError, stdout_of};
use crate::platform::local::PythonInterpreter;
use crate::platform::local::isolation_report::names;
use crate::project::cargo::toolchain;

/// The version of the oldest compiler that builds an agent.
const MIN_RUST_VERSION: &str = env!("CARGO_PKG_RUST_VERSION");
/// A host name like those of sandbox ports.
const SANDBOX_HOST: &str = "8080-doctor.localhost";
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(20);

pub(super) async fn toolchain() -> Vec<Check> {
    let (cargo, rustc, linker) = tokio::join!(
        run("cargo", &["--version"]),
        run("rustc", &["-vV"]),
        run("cc", &["--version"])
    );
    let mut checks = vec![match cargo {
        Ok(text) => Check::ok("cargo", second_word(&text)),
        Err(error) => Check::from_error("cargo", CheckStatus::Fail, toolchain::broken(&error)),
    }];
    match rustc {
        Ok(text) => {
            checks.push(compiler(&text));
            checks.push(static_target(&text).await);
        }
        Err(error) => {
            let error = toolchain::broken(&error);
            checks.push(Check::from_error("rustc", CheckStatus::Fail, error));
        }
    }
    checks.push(match linker {
        Ok(text) => Check::ok("linker", text.lines().next().unwrap_or_default()),
        Err(error) => {
            let mut error = error.to_error();
            error.message = format!("{}; Rust links with it", error.message);
            let error = error.help("install gcc or clang, as in `apt install gcc`");
            Check::from_error("linker", CheckStatus::Fail, error)
        }
    });
    checks
}

fn compiler(text: &str) -> Check {
    let release = field(text, "release:").unwrap_or_default();
    if version(&release) >= version(MIN_RUST_VERSION) {
        return Check::ok("rustc", release);
    }
    Check::new(
        "rustc",
        CheckStatus::Fail,
        format!("{release} is too old: agents need {MIN_RUST_VERSION} or later"),
    )
    .help("run `rustup update stable`")
}

/// Checks whether the static target of this machine's architecture is installed. Programs for this
/// target need no C library in the sandbox.
async fn static_target(rustc: &str) -> Check {
    let host = field(rustc, "host:").unwrap_or_default();
    let machine = host.split('-').next().unwrap_or_default();
    let target = format!("{machine}-unknown-linux-musl");
    let folder = run("rustc", &["--print", "target-libdir", "--target", &target]).await;
    if folder.is_ok_and(|folder| Path::new(folder.trim()).is_dir()) {
        return Check::ok("target", format!("{target} is installed"));
    }
    Check::new(
        "target",
        CheckStatus::Warn,
        format!(
            "{target} is not installed: deployed agents need this machine's C library or a \
         newer one"
        ),
    )
    .help(format!("run `rustup target add {target}`"))
}

/// Checks the isolation, the networks and the limits of sandboxes. Starts a local platform with
/// bubblewrap, which may be installed but not permitted. If that works, starts another platform
/// with isolated networks; otherwise, starts a platform without bubblewrap.
pub(super) async fn isolation() -> Vec<Check> {
    let (trial, isolated) = match trial_of(IsolationKind::Bubblewrap, false).await {
        Ok(trial) => (Ok(trial), Ok(())),
        Err(reason) => (
            trial_of(IsolationKind::ProcessGroup, false).await,
            Err(reason),
        ),
    };
    let is_isolated = isolated.is_ok();
    let mut checks = vec![isolation_check(isolated)];
    if let Ok(trial) = &trial
        && is_isolated
    {
        checks.push(network_check(trial.offline_unavailable.as_deref()));
        let isolated = trial_of(IsolationKind::Bubblewrap, true).await;
        checks.push(isolated_network_check(isolated.map(drop)));
    }
    checks.push(match trial {
        Ok(trial) => limits_check(&trial.unenforced_limits),
        Err(reason) => Check::new(
            "limits",
            CheckStatus::Warn,
            format!("the local platform cannot start: {reason}"),
        ),
    });
    checks
}

/// The properties that a platform lacks on this machine.
struct Trial {
    unenforced_limits: Vec<UnenforcedLimit>,
    offline_unavailable: Option<String>,
}

/// Starts and stops a platform with this isolation, and returns the properties that it lacks.
async fn trial_of(kind: IsolationKind, isolate_network: bool) -> Result<Trial, String> {
    let home = tempfile::tempdir().map_err(|error| error.to_string())?;
    let platform = LocalPlatform::builder()
        .home(home.path())
        .isolation(kind)
        .isolate_network(isolate_network)
        .start()
        .await
        .map_err(|error| error.to_string())?;
    let trial = Trial {
        unenforced_limits: platform.unenforced_limits().to_vec(),
        offline_unavailable: platform.offline_unavailable().map(ToOwned::to_owned),
    };
    platform
        .shutdown()
        .await
        .map_err(|error| error.to_string())?;
    Ok(trial)
}

fn network_check(offline_unavailable: Option<&str>) -> Check {
    const NAME: &str = "sandbox network";
    match offline_unavailable {
        None => Check::ok(
            NAME,
            "sandboxes without internet access have their own network, others use this machine's",
        ),
        Some(reason) => Check::new(
            NAME,
            CheckStatus::Warn,
            format!("sandboxes without internet access cannot be created: {reason}"),
        )
        .help(
            "all sandboxes share this machine's network; install bash (`apt install bash`), and \
         allow network namespaces",
        ),
    }
}

fn isolated_network_check(isolated: Result<(), String>) -> Check {
    const NAME: &str = "isolated network";
    match isolated {
        Ok(()) => Check::ok(
            NAME,
            "`local up --isolate-network` gives all sandboxes a network of their own",
        ),
        Err(reason) => Check::new(
            NAME,
            CheckStatus::Warn,
            format!("`local up --isolate-network` does not work: {reason}"),
        )
        .help(
            "only for `--isolate-network`: install pasta (`apt install passt`), and let the user \
         open /dev/net/tun",
        ),
    }
}

fn isolation_check(isolated: Result<(), String>) -> Check {
    const NAME: &str = "bubblewrap";
    match isolated {
        Ok(()) => Check::ok(
            NAME,
            "isolates the sandboxes of the local platform, except for the network of this machine",
        ),
        Err(reason) => Check::new(
            NAME,
            CheckStatus::Warn,
            format!("the local platform does not isolate sandboxes: {reason}"),
        )
        .help(
            "install bubblewrap, as in `apt install bubblewrap`, and allow user namespaces; until \
         then run only agents that you trust",
        ),
    }
}

fn limits_check(limits: &[UnenforcedLimit]) -> Check {
    const NAME: &str = "limits";
    if limits.is_empty() {
        return Check::ok(NAME, "the limits of sandboxes are enforced");
    }
    let reasons: Vec<_> = limits.iter().map(ToString::to_string).collect();
    let message = format!("not enforced for sandboxes: {}", names(limits));
    Check::new(NAME, CheckStatus::Warn, message).help(reasons.join("; "))
}

/// Checks whether a name below `localhost`, such as the host of a sandbox, resolves to this
/// machine.
pub(super) async fn localhost() -> Check {
    let found = timeout(LOOKUP_TIMEOUT, lookup_host((SANDBOX_HOST, 0))).await;
    let addresses = match found {
        Ok(Ok(addresses)) => Ok(addresses.map(|address| address.ip()).collect()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {} s", LOOKUP_TIMEOUT.as_secs())),
    };
    localhost_check(addresses)
}

fn localhost_check(addresses: Result<Vec<IpAddr>, String>) -> Check {
    const NAME: &str = "localhost";
    let problem = match addresses {
        Ok(addresses) if !addresses.is_empty() && addresses.iter().all(IpAddr::is_loopback) => {
            return Check::ok(NAME, "names below `localhost` resolve to this machine");
        }
        Ok(addresses) => {
            format!("{SANDBOX_HOST} resolves to {addresses:?}, not to this machine")
        }
        Err(error) => format!("{SANDBOX_HOST} does not resolve: {error}"),
    };
    Check::new(
        NAME,
        CheckStatus::Warn,
        format!(
            "{problem}: programs cannot open the hosts of sandboxes, such as `8080-<id>.localhost`"
        ),
    )
    .help(
        "install a name resolver, as in `apt install libnss-myhostname`, or start the platform \
         with `local up --tls` and set the variables of `local env`, which select its proxy",
    )
}

pub(super) async fn python() -> Check {
    match PythonInterpreter::find().await {
        Ok(interpreter) => Check::ok("python", interpreter.version),
        Err(error) => {
            let error = error
                .to_error()
                .help("install Python, which only Python agents need");
            Check::from_error("python", CheckStatus::Warn, error)
        }
    }
}

/// Returns the standard output of a program on the PATH.
async fn run(program: &str, arguments: &[&str]) -> Result<String, ProgramError> {
    let mut command = Command::new(program);
    command.args(arguments);
    stdout_of(command).await
}

fn second_word(text: &str) -> &str {
    text.split_whitespace().nth(1).unwrap_or_default()
}

fn field(text: &str, name: &str) -> Option<String> {
    let value = text.lines().find_map(|line| line.strip_prefix(name))?;
    Some(value.trim().to_owned())
}

/// Returns the numbers of a version before the first hyphen.
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
    fn a_name_that_does_not_resolve_to_this_machine_is_a_warning() {
        for (addresses, status) in [
            (Ok(vec!["127.0.0.1", "::1"]), CheckStatus::Ok),
            (Ok(vec!["127.0.0.1", "192.0.2.1"]), CheckStatus::Warn),
            (Ok(vec![]), CheckStatus::Warn),
            (Err("not found".to_owned()), CheckStatus::Warn),
        ] {
            let parsed = |addresses: Vec<&str>| {
                addresses
                    .iter()
                    .map(|address| address.parse().unwrap())
                    .collect()
            };
            let check = localhost_check(addresses.clone().map(parsed));
            assert_eq!(check.status, status, "{addresses:?}");
            assert_eq!(check.help.is_some(), status == CheckStatus::Warn);
        }
    }

    #[test]
    fn an_old_compiler_fails_with_help() {
        let old = compiler("rustc 1.70.0 (x)\nrelease: 1.70.0\nhost: x86_64-unknown-linux-gnu\n");
        assert_eq!(old.status, CheckStatus::Fail);
        assert!(
            old.message.contains(MIN_RUST_VERSION) && old.help.is_some(),
            "{old:?}"
        );
        for release in [MIN_RUST_VERSION, "1.100.0", "2.0.0-nightly"] {
            let check = compiler(&format!("rustc x\nrelease: {release}\n"));
            assert_eq!(
                (check.status, check.message.as_str()),
                (CheckStatus::Ok, release)
            );
        }
    }
}
