//! Projects as `agent init` writes them, built cheaply: all tests share one target folder and the workspace's lock file,
//! so that every dependency is compiled once.

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
    let arguments = [
        "agent",
        "init",
        "--name",
        name,
        "--template",
        template,
        "--author",
        "a@example.com",
    ];
    sandbox.command(arguments).run().code(0);
    let folder = sandbox.path(name);
    let lock = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.lock");
    std::fs::copy(lock, folder.join("Cargo.lock")).expect("the lock file");
    folder
}

/// A Python project below the sandbox's folder.
pub(crate) fn python_project(sandbox: &Sandbox, name: &str) -> PathBuf {
    let arguments = [
        "agent",
        "init",
        "--name",
        name,
        "--entrypoint",
        "agent.py",
        "--author",
        "a@example.com",
    ];
    sandbox.command(arguments).run().code(0);
    sandbox.path(name)
}

/// The command, in a project, with what cargo needs to find its toolchain and its registry.
pub(crate) fn command(sandbox: &Sandbox, folder: &Path, arguments: &[&str]) -> Invocation {
    let mut command = sandbox
        .command(arguments)
        .in_folder(folder)
        .env("CARGO_TARGET_DIR", target());
    let home = std::env::var_os("HOME")
        .map(PathBuf::from)
        .unwrap_or_default();
    for (name, folder) in [("CARGO_HOME", ".cargo"), ("RUSTUP_HOME", ".rustup")] {
        let value = std::env::var_os(name).unwrap_or_else(|| home.join(folder).into());
        command = command.env(name, value);
    }
    command.env("CARGO", env!("CARGO"))
}

pub(crate) fn agent_yaml(folder: &Path) -> String {
    std::fs::read_to_string(folder.join("agent.yaml")).expect("agent.yaml")
}
