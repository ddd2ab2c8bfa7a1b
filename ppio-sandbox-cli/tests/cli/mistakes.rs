//! Errors before the agent is called: exit code, causes and help.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::{Sandbox, scaffold, scripted};

/// Commands that need an agent on a platform.
const COMMANDS: [&[&str]; 5] = [
    &["agent", "invoke", "--input", "x"],
    &["agent", "status"],
    &["agent", "logs"],
    &["agent", "stop"],
    &["agent", "delete", "--yes"],
];

/// Asserts that an error has the same content as text and as JSON.
fn assert_failure(command: impl Fn() -> crate::support::Invocation, code: i32, expected: &[&str]) {
    let done = command().run().code(code);
    assert_eq!(done.stdout, "");
    assert!(done.stderr.contains("error: "), "{done:?}");
    assert!(done.stderr.contains("\nhelp: "), "{done:?}");
    let json = command().args(["--output", "json"]).run().code(code);
    assert_eq!(json.stdout, "");
    let failure = json.failure();
    assert_eq!(failure["exit_code"], code);
    assert!(failure["help"].is_string() && failure["code"].is_string());
    let words = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Array(all) => all
            .iter()
            .filter_map(Value::as_str)
            .collect::<Vec<_>>()
            .join("\n"),
        _ => String::new(),
    };
    let in_json = ["error", "causes", "help"]
        .map(|field| words(&failure[field]))
        .join("\n");
    for expected in expected {
        assert!(
            done.stderr.contains(expected),
            "no {expected:?} in {done:?}"
        );
        assert!(in_json.contains(expected), "no {expected:?} in {failure}");
    }
    // Lower-case and without a full stop, so that it can be part of a longer text.
    let what = failure["error"].as_str().expect("a text");
    assert!(
        !what.ends_with('.') && !what.starts_with(|first: char| first.is_uppercase()),
        "{what}"
    );
}

#[test]
fn no_project() {
    let sandbox = Sandbox::new();
    for arguments in COMMANDS {
        assert_failure(
            || sandbox.command(arguments.iter().copied()),
            2,
            &["no agent.yaml in ", "agent init", "--template-id"],
        );
    }
}

#[test]
fn broken_yaml_shows_the_line_and_the_column() {
    let sandbox = Sandbox::new();
    let folder = sandbox.project("agent", "tmpl_1");
    let file = folder.join("agent.yaml");
    let text = std::fs::read_to_string(&file).expect("agent.yaml");
    std::fs::write(&file, text.replace("name: agent", "name: My Agent")).expect("agent.yaml");
    for arguments in COMMANDS {
        let command = || {
            sandbox
                .command(arguments.iter().copied())
                .in_folder(&folder)
        };
        assert_failure(
            command,
            2,
            &["agent.yaml:3:9: metadata.name: ", "name: My Agent\n", "^"],
        );
    }
    // With --template-id no agent.yaml is needed.
    let done = sandbox
        .command(["agent", "status", "--template-id", "x"])
        .in_folder(&folder)
        .run();
    done.code(3).says("the local platform is not running");
}

#[test]
fn an_agent_that_is_not_deployed() {
    let sandbox = Sandbox::new();
    let folder = sandbox.project("agent", "''");
    for arguments in COMMANDS {
        let command = || {
            sandbox
                .command(arguments.iter().copied())
                .in_folder(&folder)
        };
        assert_failure(command, 2, &["agent is not deployed yet", "agent deploy"]);
    }
}

#[test]
fn the_platform_is_down() {
    let sandbox = Sandbox::new();
    for arguments in COMMANDS.into_iter().chain([&["agent", "list"][..]]) {
        let command = || {
            let command = sandbox.command(arguments.iter().copied());
            command.env("PPIO_TEMPLATE_ID", "tmpl_1")
        };
        assert_failure(
            command,
            3,
            &["the local platform is not running", "local up --detach"],
        );
        let remote = || {
            command()
                .env("PPIO_API_KEY", "secret-of-mine")
                .env("PPIO_API_URL", "http://127.0.0.1:9")
        };
        if arguments[1] == "list" {
            // The client retries for seconds, so one command is enough.
            assert_failure(remote, 3, &["127.0.0.1:9", "refused", "PPIO_API_URL"]);
        }
    }
}

#[test]
fn the_template_is_missing() {
    let sandbox = Sandbox::with([]);
    let folder = sandbox.project("agent", "tmpl_gone");
    for arguments in COMMANDS {
        let command = || {
            sandbox
                .command(arguments.iter().copied())
                .in_folder(&folder)
                .arg("--local")
        };
        assert_failure(
            command,
            3,
            &["\"tmpl_gone\" not found", "agent list", "--remote"],
        );
    }
    assert!(sandbox.sandboxes().is_empty());
}

#[test]
fn the_key_is_wrong() {
    let sandbox = Sandbox::with([scripted("agent")]);
    let url = sandbox.running().expect("a platform").url().to_owned();
    let wrong = "e2b_0123456789wrong";
    for arguments in COMMANDS.into_iter().chain([&["agent", "list"][..]]) {
        let command = || {
            let command = sandbox
                .command(arguments.iter().copied())
                .env("PPIO_TEMPLATE_ID", "agent");
            command.env("PPIO_API_KEY", wrong).env("PPIO_API_URL", &url)
        };
        let done = command().run().code(3);
        assert!(!format!("{done:?}").contains(wrong), "{done:?}");
        assert_failure(
            command,
            3,
            &["authentication failed", "set PPIO_API_KEY", &url],
        );
    }
    // `--local` ignores the API key of the environment.
    let done = sandbox
        .command(["agent", "list", "--local", "--json"])
        .env("PPIO_API_KEY", wrong)
        .env("PPIO_ACCESS_TOKEN", wrong)
        .env("PPIO_API_URL", "http://127.0.0.1:9")
        .env("PPIO_DEBUG", "true")
        .run();
    assert_eq!(done.code(0).json()[0]["name"], "agent");
}

#[test]
fn invalid_settings() {
    let sandbox = Sandbox::new();
    let list = || sandbox.command(["agent", "list"]);
    assert_failure(
        || list().arg("--remote"),
        2,
        &["PPIO_API_KEY is not set", "--local"],
    );
    assert_failure(
        || {
            list()
                .env("PPIO_API_KEY", "k")
                .env("PPIO_API_URL", "nonsense")
        },
        2,
        &["PPIO_API_URL", "nonsense"],
    );
    assert_failure(
        || {
            list()
                .env("PPIO_API_KEY", "k y")
                .env("PPIO_API_URL", "http://127.0.0.1:9")
        },
        2,
        &["the API key"],
    );
}

#[test]
fn unknown_flags_are_usage_errors() {
    let sandbox = Sandbox::new();
    for arguments in [
        &["nonsense"][..],
        &["agent"],
        &["agent", "fly"],
        &["agent", "list", "--fast"],
        &["local", "up", "--port", "70000"],
        &["local", "env", "--shell", "cmd"],
        &["agent", "status", "--output", "xml"],
        &["completions"],
        &["agent", "init"],
        &["agent", "list", "--local", "--remote"],
        &["agent", "invoke", "--timeout", "0"],
    ] {
        let done = sandbox.run(arguments.iter().copied()).code(2);
        assert_eq!(done.stdout, "");
        assert!(!done.stderr.is_empty());
        // With JSON output, these errors have the same form as all others.
        for json in [&["--json"][..], &["-o", "json"], &["--output=json"]] {
            let done = sandbox.run([arguments, json].concat()).code(2);
            assert_eq!(done.stdout, "");
            let failure = done.failure();
            assert_eq!(
                (&failure["code"], &failure["exit_code"]),
                (&json!("usage"), &json!(2))
            );
            let message = failure["error"].as_str().expect("a text");
            assert!(
                !message.is_empty() && !message.starts_with("error"),
                "{failure}"
            );
            assert!(
                failure["help"]
                    .as_str()
                    .is_some_and(|help| help.contains("--help")),
                "{failure}"
            );
        }
    }
    let failure = sandbox
        .run(["agent", "list", "--fats", "--json"])
        .code(2)
        .failure();
    assert_eq!(failure["error"], "unexpected argument '--fats' found");
    // Help is a result, so it is printed to standard output.
    let help = sandbox.run(["agent", "--json", "--help"]).code(0);
    assert!(help.stdout.contains("Usage: "), "{help:?}");
}

#[test]
fn an_invalid_proxy_is_an_error_with_its_variable() {
    let sandbox = Sandbox::new();
    let list = |variable: &str, value: &str| {
        let list = sandbox.command(["agent", "list"]).env(variable, value);
        list.env("PPIO_API_KEY", "k")
            .env("PPIO_API_URL", "https://api.platform.example")
    };
    for variable in ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
        for value in [
            "ftp://proxy.example",
            "http://",
            "http://proxy:99999",
            "socks5://p:1",
        ] {
            assert_failure(
                || list(variable, value),
                2,
                &[variable, "unset the variable"],
            );
        }
    }
    // The error for a proxy that does not answer names the proxy as well.
    let refused = || list("https_proxy", "http://127.0.0.1:9");
    refused()
        .run()
        .code(3)
        .says("through the proxy 127.0.0.1:9 of https_proxy");
    // The local platform needs no proxy.
    sandbox
        .command(["agent", "list", "--local"])
        .env("https_proxy", "ftp://proxy.example")
        .run()
        .code(3)
        .says("the local platform is not running");
}

#[test]
fn an_empty_variable_is_not_set() {
    let sandbox = Sandbox::with([scripted("agent")]);
    let folder = sandbox.project("agent", "agent");
    for value in ["", " "] {
        let status = sandbox
            .command(["agent", "status", "--json"])
            .in_folder(&folder);
        let names = [
            "PPIO_TEMPLATE_ID",
            "PPIO_API_KEY",
            "PPIO_API_URL",
            "PPIO_DOMAIN",
            "PPIO_DEBUG",
            "PPIO_MAX_RESPONSE_SIZE",
            "E2B_API_KEY",
            "HTTPS_PROXY",
            "HTTP_PROXY",
            "NO_PROXY",
            "SSL_CERT_FILE",
        ];
        let status = names
            .iter()
            .fold(status, |status, name| status.env(name, value));
        status.run().code(0);
    }
}

/// Writes a program that prints this to standard error and fails.
fn failing_program(path: &Path, text: &str) {
    let folder = path.parent().expect("a folder");
    std::fs::create_dir_all(folder).expect("a folder");
    std::fs::write(path, format!("#!/bin/sh\necho '{text}' >&2\nexit 1\n")).expect("a program");
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(path, mode).expect("executable");
}

#[test]
fn a_broken_toolchain_is_not_a_broken_project() {
    let sandbox = Sandbox::new();
    let folder = scaffold::project(&sandbox, "no-toolchain", "hello");
    let programs = sandbox.path("programs");
    for name in ["cargo", "rustc"] {
        failing_program(&programs.join(name), "rustup could not choose a version");
    }
    let cargo = sandbox.path("broken/cargo");
    failing_program(&cargo, "this cargo is broken");
    let rustc = sandbox.path("broken/rustc");
    failing_program(&rustc, "this rustc is broken");
    let empty = sandbox.path("empty");
    std::fs::create_dir(&empty).expect("a folder");
    let missing = empty.join("cargo");
    for (arguments, variables, said) in [
        (
            &["--local"][..],
            &[("PATH", programs.as_path()), ("CARGO", Path::new(""))][..],
            &["`rustc --version --verbose` failed", "rustup could not"][..],
        ),
        (
            &["--local", "--target", "host"],
            &[("PATH", &programs), ("CARGO", Path::new(""))],
            &["`cargo --version` failed", "rustup could not"],
        ),
        (
            &["--local"],
            &[("PATH", &empty), ("CARGO", Path::new(""))],
            &["`rustc` is not on the PATH", "rustup.rs"],
        ),
        (
            &["--local", "--target", "host"],
            &[("PATH", &empty), ("CARGO", Path::new(""))],
            &["`cargo` is not on the PATH", "rustup.rs"],
        ),
        (
            &["--local"],
            &[("CARGO", &cargo)],
            &["cargo --version` failed", "this cargo is broken"],
        ),
        (
            &["--local"],
            &[("CARGO", &missing)],
            &["cargo` does not exist", "unset it"],
        ),
        (
            &["--local"],
            &[("RUSTC", &rustc)],
            &["rustc -vV` failed", "this rustc is broken"],
        ),
    ] {
        let deploy = || {
            let mut deploy = scaffold::command(&sandbox, &folder, &["agent", "deploy"]);
            deploy = deploy.args(arguments);
            for (name, value) in variables {
                deploy = deploy.env(name, value);
            }
            deploy
        };
        let done = deploy().run().code(4);
        for said in said {
            assert!(done.stderr.contains(said), "no {said:?} in {done:?}");
        }
        assert!(!done.stderr.contains("Cargo.toml"), "{done:?}");
        let failure = deploy().arg("--json").run().code(4).failure();
        assert_eq!(failure["code"], "system", "{failure}");
    }
    // With a working toolchain, the error is about the project.
    std::fs::write(folder.join("Cargo.toml"), "[package\n").expect("written");
    scaffold::command(&sandbox, &folder, &["agent", "deploy", "--local"])
        .run()
        .code(1)
        .says("cargo cannot read the project")
        .says("help: correct Cargo.toml");
}
