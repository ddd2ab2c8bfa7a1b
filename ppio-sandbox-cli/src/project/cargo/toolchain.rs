//! Checks whether cargo and rustc run at all.

use std::ffi::OsString;
use std::path::Path;

use ppio_agent_protocol::environment;
use tokio::process::Command;

use crate::error::CliError;
use crate::external_program::{ProgramError, stdout_of};

/// Returns the path in the variable `CARGO`, otherwise `cargo`. Cargo sets the variable for the
/// programs that it runs, so that a toolchain override stays in effect.
pub(super) fn cargo() -> OsString {
    environment::variable("CARGO").unwrap_or_else(|| "cargo".into())
}

/// Runs cargo and rustc in the project's folder, which may select a toolchain. Distinguishes
/// a broken toolchain from a broken project.
pub(super) async fn check(folder: &Path) -> Result<(), CliError> {
    let mut command = Command::new(cargo());
    command.arg("--version").current_dir(folder);
    stdout_of(command).await.map_err(|error| broken(&error))?;
    let rustc = environment::variable("RUSTC").unwrap_or_else(|| "rustc".into());
    rustc_output(rustc, folder, &["-vV"]).await.map(drop)
}

/// Returns the output of the rustc that the project selects.
pub(crate) async fn rustc(folder: &Path, arguments: &[&str]) -> Result<String, CliError> {
    rustc_output("rustc".into(), folder, arguments).await
}

async fn rustc_output(
    program: OsString,
    folder: &Path,
    arguments: &[&str],
) -> Result<String, CliError> {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder);
    stdout_of(command).await.map_err(|error| broken(&error))
}

/// Returns the error of a toolchain that does not run, with what its program printed.
pub(crate) fn broken(error: &ProgramError) -> CliError {
    let help = match error {
        ProgramError::Missing { program } if program.contains('/') => {
            "correct the variable CARGO or RUSTC, or unset it"
        }
        ProgramError::Missing { .. } => "install Rust from https://rustup.rs",
        _ => {
            "repair the installation of Rust; where rustup has no toolchain, \
             `rustup default stable` installs one"
        }
    };
    error.to_error().help(help)
}
