//! Tests `cargo xtask test` on a machine that lacks programs that the checks need.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

/// Creates a folder with these programs, which is used as the whole PATH.
fn with_programs(programs: &[(&str, &str)]) -> std::path::PathBuf {
    let name = format!("setup-{}-{}", std::process::id(), programs.len());
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a folder");
    for (name, script) in programs {
        let path = folder.join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("a program");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("executable");
    }
    folder
}

fn test_with(path: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_xtask"))
        .arg("test")
        .env("PATH", path)
        .env("CI", "true")
        .env("PPIO_XTASK_IS_LIMITED", "1")
        .env_remove("PPIO_INTEROP_BROWSER")
        .output()
        .expect("xtask starts")
}

#[test]
fn missing_packages_are_installed() {
    let path = with_programs(&[
        ("apt-get", r#"echo "apt-get $*""#),
        ("sudo", r#"shift; exec "$@""#),
    ]);
    let done = test_with(&path);
    let stdout = String::from_utf8_lossy(&done.stdout);
    let stderr = String::from_utf8_lossy(&done.stderr);
    let update = stdout.find("apt-get update\n");
    let install = stdout.find("apt-get install --yes --no-install-recommends python3 ");
    assert!(update.is_some() && update < install, "{stdout}\n{stderr}");
    for package in ["python3-venv", "nodejs", "npm", "bubblewrap", "chromium"] {
        assert!(
            stdout.contains(&format!(" {package}")),
            "{package}: {stdout}"
        );
    }
    // This `apt-get` installs nothing.
    assert_eq!(done.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("still lack python3, "), "{stderr}");
}

#[test]
fn packages_that_cannot_be_installed_are_listed_in_the_error() {
    let path = with_programs(&[]);
    let done = test_with(&path);
    let stderr = String::from_utf8_lossy(&done.stderr);
    assert_eq!(done.status.code(), Some(1), "{stderr}");
    assert!(
        stderr.contains("\n  python3 python3-venv nodejs npm bubblewrap chromium"),
        "{stderr}"
    );
}
