//! Projects as `agent init` writes them, built cheaply: all tests share one target folder and the workspace's lock file,
//! so that every dependency is compiled once.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::path::{Path, PathBuf};

use crate::support::{Invocation, Sandbox};

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
    // The toolchain of this test itself, and never one that rustup's stand-ins go and fetch: interrupted commands would
    // leave it half installed.
    let cargo = Path::new(env!("CARGO"));
    let tools = cargo.parent().expect("a folder").to_owned();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths(std::iter::once(tools).chain(std::env::split_paths(&path)));
    command
        .env("CARGO", cargo)
        .env("PATH", path.expect("a PATH"))
        .env("RUSTUP_AUTO_INSTALL", "0")
        // What is tested here is not the optimiser.
        .env("CARGO_PROFILE_RELEASE_LTO", "off")
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0")
}

pub(crate) fn agent_yaml(folder: &Path) -> String {
    std::fs::read_to_string(folder.join("agent.yaml")).expect("agent.yaml")
}
