//! Checks `deploy/` with the schemas of Kubernetes and of `agents.x-k8s.io`, and with hadolint.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use ppio_test_support::python_interpreter;

fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn validate(python: &Path, files: &[PathBuf]) -> Output {
    Command::new(python)
        .arg(workspace().join("tests/interop/deploy/validate.py"))
        .args(files)
        .output()
        .unwrap()
}

#[test]
#[ignore = "needs the packages that `cargo xtask test` fetches"]
fn manifests_fit_their_schemas() {
    let python = python_interpreter();
    let folder = workspace().join("deploy/kubernetes");
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let output = validate(&python, &files);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    assert_eq!(
        String::from_utf8_lossy(&output.stdout)
            .lines()
            .collect::<Vec<_>>(),
        [
            "Deployment my-agent",
            "PodDisruptionBudget my-agent",
            "Sandbox my-agent",
            "Service my-agent",
        ]
    );
}

/// The check finds mistakes in a field's name, in a value, and inside a sandbox's pod.
#[test]
#[ignore = "needs the packages that `cargo xtask test` fetches"]
fn mistakes_in_a_manifest_are_reported() {
    let python = python_interpreter();
    let folder = tempfile::tempdir().unwrap();
    for (name, right, wrong, place) in [
        ("deployment", "periodSeconds: 1", "periodSecond: 1", "Probe"),
        ("deployment", "replicas: 2", "replicas: two", "replicas"),
        (
            "sandbox",
            "operatingMode: Running",
            "operatingMode: On",
            "operatingMode",
        ),
        ("sandbox", "podTemplate:", "podTemplates:", "podTemplate"),
        (
            "sandbox",
            "containerPort: 8080",
            "containerPort: http",
            "ports",
        ),
    ] {
        let path = workspace().join(format!("deploy/kubernetes/{name}.yaml"));
        let text = fs::read_to_string(path).unwrap();
        assert!(text.contains(right), "{right}");
        let broken = folder.path().join(format!("{name}.yaml"));
        fs::write(&broken, text.replacen(right, wrong, 1)).unwrap();
        let output = validate(&python, &[broken]);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{wrong}: {stderr}");
        assert!(stderr.contains(place), "{wrong}: {stderr}");
    }
}

#[test]
#[ignore = "needs the packages that `cargo xtask test` fetches"]
fn hadolint_accepts_the_dockerfiles() {
    let python = python_interpreter();
    let hadolint = |dockerfile: &str| {
        // pip puts programs beside the interpreter.
        let mut process = Command::new(python.with_file_name("hadolint"))
            .args(["--no-color", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = process.stdin.take().unwrap();
        stdin.write_all(dockerfile.as_bytes()).unwrap();
        drop(stdin);
        let output = process.wait_with_output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let read = |path: &str| fs::read_to_string(workspace().join(path)).unwrap();
    let dockerfile = read("deploy/Dockerfile");
    assert_eq!(hadolint(&dockerfile), "");
    // The Dockerfiles of new projects have placeholders for names.
    for template in ["rust", "python"] {
        let path = format!("ppio-sandbox-cli/templates/{template}/Dockerfile");
        let filled = read(&path).replace("{{", "").replace("}}", "");
        assert_eq!(hadolint(&filled), "", "{path}");
    }
    let named = dockerfile.replace("USER 65532:65532", "USER nonroot");
    assert!(hadolint(&named).contains("DL3066"), "the check can fail");
}
