//! The development commands of this workspace, run as `cargo xtask <command>`.
//!
//! Has no dependencies, so that the first run starts within a second or two.

mod bench;
mod cargo_tool;
mod crates;
mod error;
mod interop;
mod requirements;
mod server;
mod setup;
mod step;
mod supply_chain;
mod test;
mod workspace;

use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask <command>

commands:
  test [--no-interop]   formatting, lints, docs, crates, tests, interoperation tests; first
                        installs what is missing (with apt-get, as root or if CI is set) or
                        prints the command to run
  bench [--quick]       compare with raw hyper, axum and the Python package
  bench --part platform [--quick]
                        the local platform only: from a new session to its first answer
  bench --part protocols [--quick]
                        the protocols only: a chat completion, and what they cost an invocation
  bench --part tracing [--quick]
                        tracing only: what it costs an invocation, off and on
  crates                count the crates that a release build of `hello` pulls in
  supply-chain          check the licences, versions and sources of all crates

options:
  --no-interop          leave out the tests that need Python, Node and a browser, and the
                        check of licences and sources, which may need a network
  --quick               fewer and shorter rounds, for a first impression
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();

    let outcome = match arguments.as_slice() {
        ["test"] => test::run(test::Interop::Run),
        ["test", "--no-interop"] => test::run(test::Interop::Skip),
        ["bench"] => bench::run(&bench::Plan::full()),
        ["bench", "--quick"] => bench::run(&bench::Plan::quick()),
        ["bench", "--part", "platform"] => bench::platform(&bench::Plan::full()),
        ["bench", "--part", "platform", "--quick"] => bench::platform(&bench::Plan::quick()),
        ["bench", "--part", "protocols"] => bench::protocols(&bench::Plan::full()),
        ["bench", "--part", "protocols", "--quick"] => bench::protocols(&bench::Plan::quick()),
        ["bench", "--part", "tracing"] => bench::tracing(&bench::Plan::full()),
        ["bench", "--part", "tracing", "--quick"] => bench::tracing(&bench::Plan::quick()),
        ["crates"] => crates::run(),
        ["supply-chain"] => supply_chain::run(),
        ["help" | "--help" | "-h"] => {
            print!("{USAGE}");
            Ok(())
        }
        [] => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
        other => {
            eprint!("error: unknown command `{}`\n\n{USAGE}", other.join(" "));
            return ExitCode::from(2);
        }
    };

    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nerror: {error}");
            ExitCode::FAILURE
        }
    }
}
