//! `doctor`.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;

use crate::support::Sandbox;

/// Returns `doctor` with the toolchain that builds this test, without rustup's proxies.
fn doctor(sandbox: &Sandbox) -> crate::support::Invocation {
    let empty = sandbox.path("no-rustup");
    sandbox.command(["doctor"]).env("RUSTUP_HOME", empty)
}

/// Returns the report of a machine on which nothing is missing.
fn good_report(sandbox: &Sandbox) -> Value {
    let doctor = sandbox.command(["doctor"]);
    doctor.arg("--json").run().code(0).json()
}

fn check<'a>(report: &'a Value, name: &str) -> &'a Value {
    let checks = report["checks"].as_array().expect("a list");
    let found = checks.iter().find(|check| check["name"] == name);
    found.unwrap_or_else(|| panic!("no {name} in {report}"))
}

#[test]
fn a_machine_that_builds_this_test_has_a_toolchain() {
    let mut sandbox = Sandbox::new();
    let report = good_report(&sandbox);
    assert_eq!(report["ok"], true);
    for name in ["cargo", "rustc"] {
        assert_eq!(check(&report, name)["status"], "ok");
    }
    // The local platform need not be running.
    let platform = check(&report, "platform");
    assert_eq!(platform["status"], "warn");
    assert!(
        platform["help"]
            .as_str()
            .is_some_and(|help| help.contains("local up"))
    );

    sandbox.up();
    let report = good_report(&sandbox);
    assert_eq!(check(&report, "platform")["status"], "ok");
    let text = doctor(&sandbox).run().code(0);
    assert!(text.stdout.contains("ok    cargo "), "{text:?}");
}

#[test]
fn missing_tools_fail_with_help_and_an_exit_code() {
    let sandbox = Sandbox::new();
    let empty = sandbox.path("empty");
    std::fs::create_dir_all(&empty).expect("a folder");
    let done = sandbox
        .command(["doctor", "--json"])
        .env("PATH", &empty)
        .run()
        .code(4);
    let report: Value = serde_json::from_str(&done.stdout).expect("JSON");
    assert_eq!(report["ok"], false);
    // This list does not have bubblewrap, which is looked up in the system folders first.
    for (name, status, help) in [
        ("cargo", "fail", "rustup.rs"),
        ("rustc", "fail", "rustup.rs"),
        ("linker", "fail", "gcc"),
        ("limits", "warn", "disk: "),
        ("python", "warn", "Python"),
    ] {
        let check = check(&report, name);
        assert_eq!(check["status"], status, "{check}");
        assert!(
            check["help"]
                .as_str()
                .is_some_and(|text| text.contains(help)),
            "{check}"
        );
    }
    let failure = done.failure();
    assert!(
        failure["error"]
            .as_str()
            .is_some_and(|text| text.contains("cargo, rustc, linker"))
    );

    // Both programs are installed, but cargo fails and rustc is too old.
    for (name, script) in [
        ("cargo", "#!/bin/sh\necho broken >&2\nexit 1\n"),
        (
            "rustc",
            "#!/bin/sh\necho 'release: 1.70.0'\necho 'host: x86_64-unknown-linux-gnu'\n",
        ),
    ] {
        std::fs::write(empty.join(name), script).expect("a program");
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(empty.join(name), mode).expect("executable");
    }
    let done = sandbox
        .command(["doctor", "--json"])
        .env("PATH", &empty)
        .run()
        .code(4);
    let report: Value = serde_json::from_str(&done.stdout).expect("JSON");
    let rustc = check(&report, "rustc");
    assert!(
        rustc["message"]
            .as_str()
            .is_some_and(|text| text.contains("1.70.0 is too old"))
    );
    let cargo = check(&report, "cargo");
    assert_eq!(cargo["status"], "fail");
    assert_eq!(
        cargo["message"],
        "`cargo --version` failed (exit status: 1): broken"
    );
    assert_eq!(check(&report, "target")["status"], "warn");
}

#[test]
fn a_program_that_fails_is_quoted() {
    let sandbox = Sandbox::new();
    let folder = sandbox.path("programs");
    std::fs::create_dir_all(&folder).expect("a folder");
    // The output of rustup's proxies without a toolchain.
    let script = "#!/bin/sh\n\
        echo \"error: rustup could not choose a version of $(basename $0) to run\" >&2\n\
        echo \"help: run 'rustup default stable'\" >&2\nexit 1\n";
    for name in ["cargo", "rustc", "cc", "python3"] {
        std::fs::write(folder.join(name), script).expect("a program");
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(folder.join(name), mode).expect("executable");
    }
    let path = format!("{}:/usr/bin:/bin", folder.display());
    let doctor = sandbox.command(["doctor", "--json"]).env("PATH", path);
    let report: Value = serde_json::from_str(&doctor.run().code(4).stdout).expect("JSON");
    for (name, status) in [
        ("cargo", "fail"),
        ("rustc", "fail"),
        ("linker", "fail"),
        ("python", "warn"),
    ] {
        let check = check(&report, name);
        assert_eq!(check["status"], status, "{check}");
        let message = check["message"].as_str().unwrap_or_default();
        assert!(
            message.contains("rustup could not choose") && message.contains("default stable"),
            "{check}"
        );
        assert!(!message.contains("PATH"), "{check}");
    }
}

#[test]
fn a_selected_platform_must_answer_and_accept_the_key() {
    let mut sandbox = Sandbox::new();
    let down = sandbox
        .command(["doctor"])
        .args(["--json", "--local"])
        .run()
        .code(3);
    let report: Value = serde_json::from_str(&down.stdout).expect("JSON");
    assert_eq!(check(&report, "platform")["status"], "fail");
    doctor(&sandbox).arg("--remote").run().code(2);

    sandbox.up();
    let url = sandbox.running().expect("a platform").url().to_owned();
    let wrong = sandbox
        .command(["doctor"])
        .arg("--json")
        .env("PPIO_API_KEY", "wrong")
        .env("PPIO_API_URL", &url)
        .run()
        .code(3);
    let report: Value = serde_json::from_str(&wrong.stdout).expect("JSON");
    let platform = check(&report, "platform");
    assert_eq!(platform["status"], "fail");
    assert!(
        platform["help"]
            .as_str()
            .is_some_and(|help| help.contains("set PPIO_API_KEY"))
    );
    assert_eq!(check(&report, "key")["status"], "ok");
}
