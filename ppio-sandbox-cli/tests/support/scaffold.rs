//! Projects as `agent init` writes them, built cheaply: all tests share one target folder and the workspace's lock file,
//! so that every dependency is compiled once. Programs of one name share a place there, so each project of a test that
//! builds has a name of its own.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Invocation, Sandbox};

/// Where all projects of tests are built.
pub(crate) fn target() -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    workspace
        .canonicalize()
        .expect("the workspace")
        .join("target/scaffold")
}

/// A project of this template below the sandbox's folder.
pub(crate) fn project(sandbox: &Sandbox, name: &str, template: &str) -> PathBuf {
    let init = ["agent", "init", "--name", name, "--template", template];
    let init = sandbox.command(init).args(["--author", "a@example.com"]);
    init.run().code(0);
    let folder = sandbox.path(name);
    pin_versions(&folder);
    folder
}

/// A Python project below the sandbox's folder.
pub(crate) fn python_project(sandbox: &Sandbox, name: &str) -> PathBuf {
    let init = ["agent", "init", "--name", name, "--entrypoint", "agent.py"];
    let init = sandbox.command(init).args(["--author", "a@example.com"]);
    init.run().code(0);
    sandbox.path(name)
}

/// The versions of this workspace, which are fetched already.
pub(crate) fn pin_versions(folder: &Path) {
    let lock = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.lock");
    fs::copy(lock, folder.join("Cargo.lock")).expect("the lock file");
}

/// The command, in a project that cargo may build.
pub(crate) fn command(sandbox: &Sandbox, folder: &Path, arguments: &[&str]) -> Invocation {
    sandbox
        .command(arguments)
        .in_folder(folder)
        .env("CARGO_TARGET_DIR", target())
        // What is tested here is not the optimiser.
        .env("CARGO_PROFILE_RELEASE_LTO", "off")
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1")
}

pub(crate) fn agent_yaml(folder: &Path) -> String {
    fs::read_to_string(folder.join("agent.yaml")).expect("agent.yaml")
}

/// Replaces a text in a file of a project, wherever it stands.
pub(crate) fn edit(file: &Path, old: &str, new: &str) {
    let text = fs::read_to_string(file).expect("the file");
    assert!(text.contains(old), "no {old:?} in {text}");
    fs::write(file, text.replace(old, new)).expect("written");
}
