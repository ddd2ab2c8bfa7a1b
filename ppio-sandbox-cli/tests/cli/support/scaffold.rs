//! Projects of `agent init`. All tests share a target folder and the workspace's lock file, so that
//! each dependency is compiled once; therefore every project that is built needs a name of its own.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Invocation, Sandbox};

/// Returns the shared target folder.
pub(crate) fn target() -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    workspace
        .canonicalize()
        .expect("the workspace")
        .join("target/scaffold")
}

/// Returns a project of this template below the sandbox's folder.
pub(crate) fn project(sandbox: &Sandbox, name: &str, template: &str) -> PathBuf {
    let init = ["agent", "init", "--name", name, "--template", template];
    let init = sandbox.command(init).args(["--author", "a@example.com"]);
    init.run().code(0);
    let folder = sandbox.path(name);
    pin_versions(&folder);
    folder
}

/// Returns a Python project below the sandbox's folder.
pub(crate) fn python_project(sandbox: &Sandbox, name: &str) -> PathBuf {
    let init = ["agent", "init", "--name", name, "--entrypoint", "agent.py"];
    let init = sandbox.command(init).args(["--author", "a@example.com"]);
    init.run().code(0);
    sandbox.path(name)
}

/// Uses the lock file of this workspace, whose packages are fetched already.
pub(crate) fn pin_versions(folder: &Path) {
    let lock = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.lock");
    fs::copy(lock, folder.join("Cargo.lock")).expect("the lock file");
}

/// Returns the command in a project that it may build.
pub(crate) fn command(sandbox: &Sandbox, folder: &Path, arguments: &[&str]) -> Invocation {
    sandbox
        .command(arguments)
        .in_folder(folder)
        .env("CARGO_TARGET_DIR", target())
        // Shortens the builds.
        .env("CARGO_PROFILE_RELEASE_LTO", "off")
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16")
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1")
}

pub(crate) fn agent_yaml(folder: &Path) -> String {
    fs::read_to_string(folder.join("agent.yaml")).expect("agent.yaml")
}

/// Replaces a text in a file of a project.
pub(crate) fn edit(file: &Path, old: &str, new: &str) {
    let text = fs::read_to_string(file).expect("the file");
    assert!(text.contains(old), "no {old:?} in {text}");
    fs::write(file, text.replace(old, new)).expect("written");
}
