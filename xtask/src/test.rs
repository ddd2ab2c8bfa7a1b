//! `cargo xtask test`: everything a change must pass, cheapest check first.

use std::process::{Command, Stdio};
use std::time::Instant;

use crate::step::Step;
use crate::{Failure, crates, interop, supply_chain};

/// Whether the tests against the published Python and JavaScript packages run.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Interop {
    /// Fetch the packages and run the tests.
    Run,
    /// Leave them out: no Python, Node, browser or network is needed.
    Skip,
}

pub(crate) fn run(interop: Interop) -> Result<(), Failure> {
    let started = Instant::now();
    if interop == Interop::Run {
        // Fail on a missing interpreter now, not after ten minutes of building.
        interop::check_tools()?;
    }

    Step::cargo("formatting")
        .args(["fmt", "--all", "--check"])
        .run()?;
    Step::cargo("lints")
        .args(["clippy", "--workspace", "--all-targets", "--"])
        .args(["-D", "warnings"])
        .run()?;
    Step::cargo("documentation")
        .args(["doc", "--workspace", "--no-deps"])
        .env("RUSTDOCFLAGS", "-D warnings")
        .run()?;
    crates::run()?;
    match interop {
        // Cargo-deny may have to be installed first.
        Interop::Run => supply_chain::run()?,
        Interop::Skip => println!("\n==> licences and sources of crates: left out (--no-interop)"),
    }
    Step::cargo("tests without features")
        .args(["test", "--package", "ppio-agent", "--no-default-features"])
        .args(["--lib", "--test", "features"])
        .run()?;
    workspace_tests()?;
    match interop {
        Interop::Run => interoperation_tests()?,
        Interop::Skip => println!("\n==> interoperation tests: left out (--no-interop)"),
    }

    println!(
        "\nall checks passed in {:.0} s",
        started.elapsed().as_secs_f64()
    );
    Ok(())
}

/// The tests that need Rust only.
fn workspace_tests() -> Result<(), Failure> {
    // Interoperation tests run by themselves afterwards; here they would run a second time.
    let rust_only = |step: Step| {
        step.without_env(interop::PYTHON)
            .without_env(interop::AGENT_CLIENT_PYTHON)
            .without_env(interop::NODE_MODULES)
            .without_env(interop::BROWSER)
    };
    if nextest_is_installed() {
        let nextest = Step::cargo("tests").args(["nextest", "run", "--workspace"]);
        rust_only(nextest).run()?;
        // nextest does not run the examples in the documentation.
        rust_only(Step::cargo("documentation examples").args(["test", "--workspace", "--doc"]))
            .run()
    } else {
        rust_only(Step::cargo("tests").args(["test", "--workspace"])).run()
    }
}

fn interoperation_tests() -> Result<(), Failure> {
    let packages = interop::fetch()?;
    Step::cargo("interoperation tests")
        .args(["test", "--package", "integration-tests"])
        .args(["--test", "*_interop"])
        .env(interop::PYTHON, packages.python)
        .env(interop::AGENT_CLIENT_PYTHON, packages.agent_client_python)
        .env(interop::NODE_MODULES, packages.node_modules)
        .env(interop::BROWSER, packages.browser)
        .run()
}

fn nextest_is_installed() -> bool {
    Command::new(crate::workspace::cargo())
        .args(["nextest", "--version"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
