//! `agent init`: its files, which compile, and its errors.

use std::fs;
use std::process::Command;

use crate::support::{Sandbox, scaffold};

/// Compiles a new project and runs its tests.
fn builds_and_passes_its_own_tests(template: &str) {
    let sandbox = Sandbox::new();
    let folder = scaffold::project(&sandbox, "my-agent", template);
    let test = Command::new(env!("CARGO"))
        .args(["test", "--quiet"])
        .env("CARGO_TARGET_DIR", scaffold::target())
        .current_dir(&folder)
        .output()
        .expect("cargo runs");
    let said = String::from_utf8_lossy(&test.stdout);
    let complaints = String::from_utf8_lossy(&test.stderr);
    assert!(test.status.success(), "{said}\n{complaints}");
    // No warnings.
    assert!(!complaints.contains("warning"), "{complaints}");
    assert!(said.contains("2 passed"), "{said}");
    let formatted = Command::new(env!("CARGO"))
        .args(["fmt", "--check"])
        .current_dir(&folder)
        .output()
        .expect("cargo fmt runs");
    assert!(
        formatted.status.success(),
        "{}",
        String::from_utf8_lossy(&formatted.stdout)
    );
}

#[test]
fn hello_compiles() {
    builds_and_passes_its_own_tests("hello");
}

#[test]
fn stream_compiles() {
    builds_and_passes_its_own_tests("stream");
}

#[test]
fn llm_chat_compiles() {
    builds_and_passes_its_own_tests("llm-chat");
}

#[test]
fn the_files_and_the_next_steps_are_printed() {
    let sandbox = Sandbox::new();
    let arguments = [
        "agent",
        "init",
        "--name",
        "my-agent",
        "--author",
        "a@example.com",
    ];
    let done = sandbox.run(arguments).code(0);
    for line in ["src/main.rs", "cd my-agent", "agent dev", "agent deploy"] {
        assert!(done.stdout.contains(line), "no {line} in {}", done.stdout);
    }
    let document = sandbox
        .run([
            "agent",
            "init",
            "--name",
            "b",
            "--author",
            "a@example.com",
            "--json",
            "deep/inside",
        ])
        .code(0)
        .json();
    assert_eq!(document["directory"], "deep/inside");
    assert!(sandbox.path("deep/inside/agent.yaml").is_file());
}

#[test]
fn a_folder_with_files_is_refused() {
    let sandbox = Sandbox::new();
    let folder = sandbox.path("taken");
    fs::create_dir(&folder).unwrap();
    fs::create_dir(folder.join(".git")).unwrap();
    let arguments = [
        "agent",
        "init",
        "--name",
        "a",
        "--author",
        "a@example.com",
        "taken",
    ];
    // A folder with only .git is accepted.
    sandbox.run(arguments).code(0);
    assert!(folder.join("src/main.rs").is_file());
    let before = fs::read_dir(&folder).unwrap().count();
    sandbox
        .run(arguments)
        .code(2)
        .says("is not empty: it contains");
    assert_eq!(fs::read_dir(&folder).unwrap().count(), before);
    // No temporary folder is left.
    let beside: Vec<_> = fs::read_dir(folder.parent().unwrap())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert!(
        !beside
            .iter()
            .any(|name| name.to_string_lossy().starts_with(".agent-init")),
        "{beside:?}"
    );
}

#[test]
fn invalid_arguments_are_errors() {
    let sandbox = Sandbox::new();
    for (arguments, text) in [
        (
            &["--name", "My Agent"][..],
            "--name: \"My Agent\" holds 'M'",
        ),
        (
            &["--name", "a", "--entrypoint", "../x.rs"],
            "--entrypoint: ",
        ),
        (
            &["--name", "a", "--author", "missing"],
            "--author: \"missing\" is not an e-mail address",
        ),
        (
            &[
                "--name",
                "a",
                "--entrypoint",
                "agent.py",
                "--template",
                "llm-chat",
            ],
            "the template llm-chat exists only for Rust",
        ),
        (&["--name", "a"], "add `--author you@example.com`"),
    ] {
        let mut all = vec!["agent", "init"];
        all.extend(arguments);
        if !arguments.contains(&"--author") && text.starts_with("the template ") {
            all.extend(["--author", "a@example.com"]);
        }
        sandbox
            .command(all)
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .run()
            .code(2)
            .says(text);
        assert!(!sandbox.path("a").exists());
    }
}

#[test]
fn the_author_comes_from_git() {
    let sandbox = Sandbox::new();
    fs::write(
        sandbox.path(".gitconfig"),
        "[user]\n\temail = git@example.com\n",
    )
    .unwrap();
    sandbox.run(["agent", "init", "--name", "a"]).code(0);
    let text = scaffold::agent_yaml(&sandbox.path("a"));
    assert!(text.contains("author: git@example.com"), "{text}");
}
