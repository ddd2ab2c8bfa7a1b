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

/// All tests but the interoperation tests, which are ignored.
fn workspace_tests() -> Result<(), Error> {
    if nextest_is_installed() {
        Step::cargo("tests")
            .args(["nextest", "run", "--workspace"])
            .run()?;
        // nextest does not run the examples in the documentation.
        Step::cargo("documentation examples")
            .args(["test", "--workspace", "--doc"])
            .run()
    } else {
        Step::cargo("tests").args(["test", "--workspace"]).run()
    }
}

fn interoperation_tests() -> Result<(), Error> {
    let packages = interop::fetch()?;
    Step::cargo("interoperation tests")
        .args(["test", "--package", "integration-tests"])
        .args(["--test", "*_interop", "--", "--ignored"])
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
