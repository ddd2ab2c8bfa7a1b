//! `cargo xtask test`: every check that a change must pass, the cheapest first.

use std::process::{Command, Stdio};
use std::time::Instant;

use crate::error::Error;
use crate::step::Step;
use crate::{crates, interop, supply_chain};

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
        // Reports a missing interpreter before ten minutes of building.
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
        // May install cargo-deny.
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

/// The tests that need nothing but Rust.
fn workspace_tests() -> Result<(), Error> {
    // With these variables the interoperation tests would run here and again afterwards.
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

fn interoperation_tests() -> Result<(), Error> {
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
