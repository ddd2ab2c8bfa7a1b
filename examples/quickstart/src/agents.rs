//! Builds the agents' programs with the cargo that runs this example.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

use crate::Outcome;

const WORKSPACE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
const TICK: Duration = Duration::from_millis(100);

/// Builds the packages, and returns the paths of their programs in the same order.
pub(crate) async fn build(packages: &[&str]) -> Outcome<Vec<PathBuf>> {
    let started = Instant::now();
    let bar = ProgressBar::new_spinner()
        .with_style(ProgressStyle::with_template("{spinner} {msg} {elapsed}")?)
        .with_message("building the agents");
    bar.enable_steady_tick(TICK);

    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .args(["build", "--quiet"])
        .args(["--message-format", "json-render-diagnostics"])
        .current_dir(WORKSPACE)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true);
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    for package in packages {
        command.args(["--package", package]);
    }
    let mut child = command
        .spawn()
        .map_err(|error| format!("cannot start cargo to build the agents: {error}"))?;

    let mut programs = vec![None; packages.len()];
    if let Some(stdout) = child.stdout.take() {
        let mut messages = BufReader::new(stdout).lines();
        while let Some(line) = messages.next_line().await? {
            let Some((name, program)) = artifact(&line) else {
                continue;
            };
            bar.set_message(format!("building the agents: {name}"));
            if let Some(place) = packages.iter().position(|package| *package == name) {
                programs[place] = program;
            }
        }
    }
    let status = child.wait().await?;
    bar.finish_and_clear();
    if !status.success() {
        return Err(format!("cargo could not build the agents ({status})").into());
    }
    let programs = programs
        .into_iter()
        .zip(packages)
        .map(|(program, package)| program.ok_or_else(|| format!("{package} has no program").into()))
        .collect::<Outcome<Vec<PathBuf>>>()?;
    println!(
        "agents      {} built in {:.1} s",
        packages.join(", "),
        started.elapsed().as_secs_f64()
    );
    Ok(programs)
}

/// Returns the name of the target in a build message of cargo, and its program if it has one.
fn artifact(line: &str) -> Option<(String, Option<PathBuf>)> {
    let message: Value = serde_json::from_str(line).ok()?;
    if message["reason"] != "compiler-artifact" {
        return None;
    }
    let name = message["target"]["name"].as_str()?.to_owned();
    let program = message["executable"]
        .as_str()
        .map(|path| Path::new(path).to_owned());
    Some((name, program))
}
