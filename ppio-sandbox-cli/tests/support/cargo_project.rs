//! Projects that cargo builds, with what they depend on built once for all tests.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use super::{Invocation, Sandbox};

/// A project made by `agent init`. Its name is one of its own among all tests, since they share a target folder.
pub(crate) struct CargoProject {
    sandbox: Sandbox,
    folder: PathBuf,
}

impl CargoProject {
    pub(crate) fn start(name: &str, template: &str) -> Self {
        let sandbox = Sandbox::new();
        let init = ["agent", "init", "--name", name, "--template", template];
        let init = sandbox.command(init).args(["--author", "a@example.com"]);
        init.run().code(0);
        let folder = sandbox.path(name);
        pin_versions(&folder);
        Self { sandbox, folder }
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn command<A: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = A>,
    ) -> Invocation {
        with_cargo(self.sandbox.command(arguments)).in_folder(&self.folder)
    }

    pub(crate) fn write(&self, file: &str, text: &str) {
        fs::write(self.folder.join(file), text).expect("written");
    }

    pub(crate) fn edit(&self, file: &str, old: &str, new: &str) {
        let text = fs::read_to_string(self.folder.join(file)).expect("the file");
        assert!(text.contains(old), "no {old:?} in {text}");
        self.write(file, &text.replace(old, new));
    }
}

/// With the toolchain and the registry of whoever runs the tests, and one target folder for all.
pub(crate) fn with_cargo(command: Invocation) -> Invocation {
    let home = PathBuf::from(std::env::var_os("HOME").unwrap_or_default());
    let or_at_home = |name: &str, folder: &str| {
        std::env::var_os(name).map_or_else(|| home.join(folder), PathBuf::from)
    };
    let toolchain = std::env::var_os("RUSTUP_TOOLCHAIN");
    let command = match toolchain {
        Some(toolchain) => command.env("RUSTUP_TOOLCHAIN", toolchain),
        None => command,
    };
    command
        // No test changes the toolchains of whoever runs it.
        .env("RUSTUP_AUTO_INSTALL", "0")
        .env("CARGO_HOME", or_at_home("CARGO_HOME", ".cargo"))
        .env("RUSTUP_HOME", or_at_home("RUSTUP_HOME", ".rustup"))
        .env(
            "CARGO_TARGET_DIR",
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/scaffold"),
        )
}

/// The versions of this workspace, which are fetched already.
pub(crate) fn pin_versions(folder: &Path) {
    let lock = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.lock");
    fs::copy(lock, folder.join("Cargo.lock")).expect("copied");
}
