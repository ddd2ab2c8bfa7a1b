//! Builds an example or a test program of this workspace, and returns the path of its binary.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use serde_json::Value;

/// The binaries that this test process has built already.
static BUILT: Mutex<Option<HashMap<String, PathBuf>>> = Mutex::new(None);

/// The binary of the workspace package `package`, built first if need be.
pub fn build(package: &str) -> PathBuf {
    build_from(package, package)
}

/// The program `name` of the package in `tests/`, built first if need be. The tests of that package
/// use `CARGO_BIN_EXE_*` instead.
pub fn build_program(name: &str) -> PathBuf {
    build_from("integration-tests", name)
}

/// The program `name` of the workspace package `package`, built first if need be.
///
/// `CARGO_BIN_EXE_*` exists only for binaries of a test's own package. Cargo finds out whether
/// there is anything to do and serializes builds of several test processes itself.
pub fn build_from(package: &str, name: &str) -> PathBuf {
    // After a failed build other tests report the build as well, and not a poisoned lock.
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    let built = built.get_or_insert_with(HashMap::new);
    if let Some(binary) = built.get(name) {
        return binary.clone();
    }

    let mut command = cargo();
    command
        .args(["build", "--quiet", "--package", package, "--bin", name])
        .args(["--message-format", "json-render-diagnostics"]);
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("cannot start cargo to build `{package}`: {error}"));
    assert!(
        output.status.success(),
        "`cargo build --package {package} --bin {name}` failed ({}):\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    let binary = executable(name, &String::from_utf8_lossy(&output.stdout))
        .unwrap_or_else(|| panic!("the package `{package}` has no binary `{name}`"));
    built.insert(name.to_owned(), binary.clone());
    binary
}

/// Returns a command that runs cargo in this workspace, without standard input.
pub fn cargo() -> Command {
    let program = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let mut command = Command::new(program);
    command
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdin(Stdio::null());
    // Cargo's variables of the test's own package. A build script that watches these (ring's does)
    // would run again, and all that depends on it, whenever a test builds after a developer did.
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&*name);
        }
    }
    command
}

/// The path of the binary `name` in cargo's messages, one JSON object per line.
fn executable(name: &str, messages: &str) -> Option<PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["target"]["name"] == name)
        .find_map(|message| Some(PathBuf::from(message["executable"].as_str()?)))
}
