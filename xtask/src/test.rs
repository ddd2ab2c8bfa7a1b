//! `cargo xtask test`: every check that a change must pass, the cheapest first.

use std::io::IsTerminal as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use crate::cargo_tool::CargoTool;
use crate::error::Error;
use crate::step::Step;
use crate::{crates, interop, requirements, setup, supply_chain, workspace};

/// The time limit of an unattended run, as an argument of `timeout`: a hang is a failure.
const TIME_LIMIT: &str = "43m";
/// The variable that is set in a run with the time limit.
const IS_LIMITED: &str = "PPIO_XTASK_IS_LIMITED";

const CARGO_NEXTEST: CargoTool = CargoTool {
    name: "cargo-nextest",
    version: "0.9.143",
};

/// The features of `ppio-agent` that are protocols.
const PROTOCOLS: [&str; 6] = ["a2a", "ag-ui", "mcp", "openai", "ui-stream", "websocket"];

/// The packages that depend on rig, which makes the maps of `serde_json` keep their order. They are
/// checked separately, because they would change the features with which the other packages are
/// tested.
const RIG: [&str; 3] = ["ppio-agent-rig", "rig-chat", "graph"];

/// Whether the tests against the published Python and JavaScript packages run.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Interop {
    Run,
    /// Without Python, Node, a browser and network access.
    Skip,
}

pub(crate) fn run(interop: Interop) -> Result<(), Error> {
    let started = Instant::now();
    if interop == Interop::Run {
        limit_time()?;
        // Setup runs first, because the builds after it take ten minutes.
        setup::run()?;
    }

    Step::cargo("formatting")
        .args(["fmt", "--all", "--check"])
        .run()?;
    Step::cargo("lints")
        .args(["clippy", "--workspace"])
        .args(RIG.map(exclude))
        .args(["--all-targets", "--", "-D", "warnings"])
        .run()?;
    Step::cargo("documentation")
        .args(["doc", "--workspace", "--no-deps"])
        .args(RIG.map(exclude))
        .env("RUSTDOCFLAGS", "-D warnings")
        .run()?;
    crates::run()?;
    match interop {
        // This may install cargo-deny.
        Interop::Run => supply_chain::run()?,
        Interop::Skip => println!("\n==> licences and sources of crates: left out (--no-interop)"),
    }
    Step::cargo("tests without features")
        .args(["test", "--package", "ppio-agent", "--no-default-features"])
        .args(["--lib", "--test", "features"])
        .run()?;
    // The workspace enables every feature.
    Step::cargo("lints with the default features")
        .args(["clippy", "--package", "ppio-agent", "--", "-D", "warnings"])
        .run()?;
    for feature in PROTOCOLS.into_iter().chain(["otel"]) {
        Step::cargo(&format!("lints with {feature} alone"))
            .args(["clippy", "--package", "ppio-agent", "--no-default-features"])
            .args(["--features", feature, "--", "-D", "warnings"])
            .run()?;
    }
    let nextest = match interop {
        Interop::Run => Some(CARGO_NEXTEST.program()?),
        // Building nextest needs network access.
        Interop::Skip => CARGO_NEXTEST.installed(),
    };
    workspace_tests(nextest.as_deref())?;
    rig_checks()?;
    isolated_network_tests(nextest.as_deref())?;
    match (interop, nextest) {
        (Interop::Run, Some(nextest)) => interoperation_tests(&nextest)?,
        _ => println!("\n==> interoperation tests: left out (--no-interop)"),
    }

    println!(
        "\nall checks passed in {:.0} s",
        started.elapsed().as_secs_f64()
    );
    Ok(())
}

/// Runs the tests of the packages without rig, except the ignored ones.
fn workspace_tests(nextest: Option<&Path>) -> Result<(), Error> {
    let left_out = requirements::left_out();
    let Some(nextest) = nextest else {
        return Step::cargo("tests")
            .args(["test", "--workspace"])
            .args(RIG.map(exclude))
            .env(requirements::LEAVE_OUT, left_out)
            .run();
    };
    nextest_run("tests", nextest)
        .env(requirements::LEAVE_OUT, left_out)
        .run()?;
    // nextest does not run documentation examples.
    Step::cargo("documentation examples")
        .args(["test", "--workspace", "--doc"])
        .args(RIG.map(exclude))
        .run()
}

/// Returns a step that runs tests of the workspace. All tests share one build: a subset of the
/// packages would be compiled again, with other features of their dependencies.
fn nextest_run(name: &str, nextest: &Path) -> Step {
    Step::new(name, nextest)
        // With `--no-fail-fast`, one run shows all failures.
        .args(["nextest", "run", "--workspace", "--no-fail-fast"])
        .args(RIG.map(exclude))
        .env("CARGO", workspace::cargo())
}

/// Runs the checks of the packages that depend on rig.
fn rig_checks() -> Result<(), Error> {
    Step::cargo("lints of the packages with rig")
        .args(["clippy", "--no-deps", "--all-targets"])
        .args(RIG.map(package))
        .args(["--", "-D", "warnings"])
        .run()?;
    Step::cargo("documentation of the packages with rig")
        .args(["doc", "--no-deps"])
        .args(RIG.map(package))
        .env("RUSTDOCFLAGS", "-D warnings")
        .run()?;
    // The integration tests call the examples.
    Step::cargo("tests of the packages with rig")
        .args(["test"])
        .args(RIG.map(package))
        .run()
}

fn exclude(package: &str) -> String {
    format!("--exclude={package}")
}

fn package(package: &str) -> String {
    format!("--package={package}")
}

/// Runs the isolated network tests, which are ignored because few machines can run them.
fn isolated_network_tests(nextest: Option<&Path>) -> Result<(), Error> {
    if !requirements::isolates_networks() {
        println!(
            "\n==> tests of isolated networks: left out (they need root, ip, pasta and \
             /dev/net/tun)"
        );
        return Ok(());
    }
    let name = "tests of isolated networks";
    match nextest {
        Some(nextest) => nextest_run(name, nextest)
            .args(["--run-ignored", "only", "-E", "test(isolated_network)"])
            .run(),
        None => Step::cargo(name)
            .args(["test", "--workspace", "--test", "escape"])
            .args(RIG.map(exclude))
            .args(["--", "--ignored", "isolated_network"])
            .run(),
    }
}

/// Unless a user is at the terminal, replaces this process with one that has a time limit and no
/// incremental builds, whose files would only fill the disk.
fn limit_time() -> Result<(), Error> {
    let is_limited = std::env::var_os(IS_LIMITED).is_some();
    let is_attended = !setup::is_ci() && std::io::stderr().is_terminal();
    if is_limited || is_attended {
        return Ok(());
    }
    let program = std::env::current_exe()
        .map_err(|error| format!("cannot find the path of this program: {error}"))?;
    let error = Command::new("timeout")
        .args(["--kill-after=30s", TIME_LIMIT])
        .arg(program)
        .args(std::env::args_os().skip(1))
        .env(IS_LIMITED, "1")
        .env("CARGO_INCREMENTAL", "0")
        .exec();
    Err(format!("cannot run `timeout`: {error}"))
}

fn interoperation_tests(nextest: &Path) -> Result<(), Error> {
    let packages = interop::fetch()?;
    let left_out = requirements::left_out_with(&packages.python);
    nextest_run("interoperation tests", nextest)
        .args(["--run-ignored", "only", "-E", "binary(/_interop$/)"])
        .env(requirements::LEAVE_OUT, left_out)
        .env(interop::PYTHON, packages.python)
        .env(interop::AGENT_CLIENT_PYTHON, packages.agent_client_python)
        .env(interop::NODE_MODULES, packages.node_modules)
        .env(interop::PROTOCOLS_PYTHON, packages.protocols_python)
        .env(
            interop::PROTOCOLS_NODE_MODULES,
            packages.protocols_node_modules,
        )
        .env(interop::BROWSER, packages.browser)
        .run()
}
