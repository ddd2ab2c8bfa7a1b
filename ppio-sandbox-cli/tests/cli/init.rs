//! `agent init`: its files, which compile, and its errors.

use std::fs;
use std::path::Path;

use ppio_test_support::cargo;

use crate::support::{Sandbox, scaffold};

/// Compiles a new project and runs its tests.
fn builds_and_passes_its_own_tests(template: &str) {
    let sandbox = Sandbox::new();
    let folder = scaffold::project(&sandbox, "my-agent", template);
    let test = cargo()
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
    let formatted = cargo()
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
fn chat_compiles() {
    builds_and_passes_its_own_tests("chat");
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

/// Returns the names of the members of the folder's workspace, as `cargo metadata` lists them.
fn members(folder: &Path) -> Vec<String> {
    let metadata = cargo()
        .args(["metadata", "--format-version", "1", "--offline"])
        .current_dir(folder)
        .output()
        .expect("cargo runs");
    let complaints = String::from_utf8_lossy(&metadata.stderr);
    assert!(metadata.status.success(), "{complaints}");
    assert!(!complaints.contains("warning"), "{complaints}");
    let metadata: serde_json::Value = serde_json::from_slice(&metadata.stdout).expect("JSON");
    let list = |field: &str| metadata[field].as_array().expect("a list").clone();
    let members = list("workspace_members");
    let mut names: Vec<_> = list("packages")
        .iter()
        .filter(|package| members.contains(&package["id"]))
        .map(|package| package["name"].as_str().expect("a name").to_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn a_project_in_a_workspace_builds_and_the_workspace_is_intact() {
    for (lists, members_of_project) in [
        // The project is a member if it is covered by a glob or listed.
        ("members = ['agents/*', 'first']", &["first", "new"][..]),
        ("members = ['first', 'agents/new']", &["first", "new"]),
        // It is not a member if it is not listed, or is excluded.
        ("members = ['first']", &["new"]),
        (
            "members = ['agents/*', 'first']\nexclude = ['agents']",
            &["new"],
        ),
    ] {
        let sandbox = Sandbox::new();
        let root = sandbox.path("root");
        fs::create_dir_all(root.join("first/src")).unwrap();
        let manifest = format!("[workspace]\nresolver = '3'\n{lists}\n");
        fs::write(root.join("Cargo.toml"), &manifest).unwrap();
        let package = "[package]\nname = 'first'\nversion = '1.0.0'\nedition = '2024'\n";
        fs::write(root.join("first/Cargo.toml"), package).unwrap();
        fs::write(root.join("first/src/lib.rs"), "").unwrap();

        let init = ["agent", "init", "--name", "new", "agents/new"];
        let done = sandbox
            .command(init)
            .args(["--author", "a@example.com"])
            .in_folder(&root)
            .run()
            .code(0);
        let is_member = members_of_project.len() > 1;
        assert_eq!(
            done.stderr.contains("is a member of the workspace in"),
            is_member,
            "{done:?}"
        );
        let folder = root.join("agents/new");
        scaffold::pin_versions(if is_member { &root } else { &folder });
        assert_eq!(members(&folder), members_of_project, "{lists}");
        let members_of_root = if is_member {
            members_of_project
        } else {
            &["first"]
        };
        assert_eq!(members(&root), members_of_root, "{lists}");
        assert_eq!(
            fs::read_to_string(root.join("Cargo.toml")).unwrap(),
            manifest
        );
    }
}

#[test]
fn a_python_project_is_not_written_where_a_workspace_expects_packages() {
    let sandbox = Sandbox::new();
    let root = sandbox.path("root");
    fs::create_dir_all(root.join("agents")).unwrap();
    let manifest = root.join("Cargo.toml");
    fs::write(&manifest, "[workspace]\nmembers = ['agents/*']\n").unwrap();
    let init = || {
        let init = ["agent", "init", "--name", "new", "agents/new"];
        sandbox
            .command(init)
            .args(["--entrypoint", "agent.py", "--author", "a@example.com"])
            .in_folder(&root)
            .run()
    };
    init()
        .code(2)
        .says("agents/new would break the cargo workspace in ")
        .says("help: add `exclude = [\"agents/new\"]` to ");
    assert!(!root.join("agents/new").exists());
    let excluding = "[workspace]\nmembers = ['agents/*']\nexclude = [\"agents/new\"]\n";
    fs::write(&manifest, excluding).unwrap();
    init().code(0);
    assert!(root.join("agents/new/agent.py").is_file());
}

#[test]
fn a_project_that_would_break_its_workspace_is_refused() {
    let sandbox = Sandbox::new();
    let root = sandbox.path("root");
    fs::create_dir_all(root.join("agents/other/src")).unwrap();
    fs::write(
        root.join("Cargo.toml"),
        "[workspace]\nresolver = '3'\nmembers = ['agents/*']\n",
    )
    .unwrap();
    // This package has the name of the new one.
    let package = "[package]\nname = 'new'\nversion = '1.0.0'\nedition = '2024'\n";
    fs::write(root.join("agents/other/Cargo.toml"), package).unwrap();
    fs::write(root.join("agents/other/src/lib.rs"), "").unwrap();
    let init = ["agent", "init", "--name", "new", "agents/new"];
    sandbox
        .command(init)
        .args(["--author", "a@example.com"])
        .in_folder(&root)
        .run()
        .code(2)
        .says("agents/new cannot be a member of the workspace in ")
        .says("two packages named `new` in this workspace");
    assert!(!root.join("agents/new").exists());
    assert_eq!(members(&root), ["new"]);
}
