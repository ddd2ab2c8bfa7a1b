//! Builds an example or a test program of this workspace and returns the path of its binary.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use serde_json::Value;

/// The packages that depend on rig. `cargo xtask test` checks them separately, because rig changes
/// the features of the other packages.
const RIG: [&str; 3] = ["ppio-agent-rig", "rig-chat", "graph"];

/// The folder below the target directory for the programs that are built together. Only tests build
/// into it, so that no other build replaces a program that a test is about to start.
const PROGRAMS: &str = "tests/programs";
/// The folder below the target directory for programs that are built with only their own features.
const PROGRAMS_ALONE: &str = "tests/programs-alone";

/// The binaries that this test process has already built, by folder and name.
static BUILT: Mutex<Option<HashMap<(&str, String), PathBuf>>> = Mutex::new(None);

/// Returns the binary of the workspace package `package`, built first if needed.
pub fn build(package: &str) -> PathBuf {
    build_from(package, package)
}

/// Returns the program `name` of the package in `tests/`, built first if needed. The tests of that
/// package use `CARGO_BIN_EXE_*` instead.
pub fn build_program(name: &str) -> PathBuf {
    build_from("integration-tests", name)
}

/// Returns the program `name` of the workspace package `package`, built first if needed.
///
/// `CARGO_BIN_EXE_*` exists only for binaries of a test's own package. Cargo determines whether
/// there is anything to build, and serializes the builds of several test processes.
pub fn build_from(package: &str, name: &str) -> PathBuf {
    // Selects the same packages as the tests' own build, whose dependencies are then already
    // compiled. A build of one package alone would compile them again with its own features.
    let selection: Vec<_> = if RIG.contains(&package) {
        RIG.map(|package| format!("--package={package}")).into()
    } else {
        let others = RIG.map(|package| format!("--exclude={package}"));
        std::iter::once("--workspace".to_owned())
            .chain(others)
            .collect()
    };
    build_in(PROGRAMS, &selection, name)
}

/// Returns the binary of the workspace package `package`, built with only its own features.
pub fn build_alone(package: &str) -> PathBuf {
    build_in(PROGRAMS_ALONE, &[format!("--package={package}")], package)
}

fn build_in(folder: &'static str, selection: &[String], name: &str) -> PathBuf {
    // After a failed build, other tests fail with the error of the build instead of a poisoned
    // lock.
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    let built = built.get_or_insert_with(HashMap::new);
    let key = (folder, name.to_owned());
    if let Some(binary) = built.get(&key) {
        return binary.clone();
    }

    let mut command = cargo();
    command
        .args(["build", "--quiet", "--bin", name])
        .args(selection)
        .args(["--message-format", "json-render-diagnostics"]);
    let target = target();
    command
        .arg("--target-dir")
        .arg(target.join(folder))
        .env("CARGO_BUILD_BUILD_DIR", target);
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("cannot start cargo to build `{name}`: {error}"));
    assert!(
        output.status.success(),
        "the build of `{name}` failed ({}):\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    let binary = executable(name, &String::from_utf8_lossy(&output.stdout))
        .unwrap_or_else(|| panic!("cargo reported no binary `{name}`"));
    built.insert(key, binary.clone());
    binary
}

/// Returns the target directory: `CARGO_TARGET_DIR`, or `target` in the workspace.
fn target() -> PathBuf {
    let folder = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let workspace = workspace.canonicalize().expect("the workspace");
    workspace.join(folder)
}

/// Returns a command that runs cargo in this workspace, without standard input.
pub fn cargo() -> Command {
    let program = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let mut command = Command::new(program);
    command
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdin(Stdio::null());
    // Removes cargo's variables of the test's own package. A build script that watches them (ring's
    // does) would run again, along with everything that depends on it, whenever a test builds after
    // a developer did.
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        let is_of_package = name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
        if is_of_package || name == "OUT_DIR" {
            command.env_remove(&*name);
        }
    }
    command
}

/// Returns the path of the binary `name` from cargo's messages, one JSON object per line.
fn executable(name: &str, messages: &str) -> Option<PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["target"]["name"] == name)
        .find_map(|message| Some(PathBuf::from(message["executable"].as_str()?)))
}
