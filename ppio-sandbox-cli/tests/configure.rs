//! `agent configure`, without a terminal.

mod support;

use std::fs;

use support::Sandbox;

const TEXT: &str = "# by hand\nmetadata:\n  name: my-agent # stays\n  version: \"1.0.0\"\n\nspec:\n  entrypoint: src/main.rs\n";

fn sandbox(text: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    fs::write(sandbox.path("agent.yaml"), text).expect("agent.yaml is written");
    sandbox
}

#[test]
fn what_is_missing_is_named_with_its_flag() {
    let sandbox = sandbox(TEXT);
    sandbox
        .run(["agent", "configure"])
        .code(2)
        .says("agent.yaml lacks metadata.author")
        .says("give --author …");
    assert_eq!(
        fs::read_to_string(sandbox.path("agent.yaml")).unwrap(),
        TEXT
    );
}

#[test]
fn flags_are_written_and_the_rest_of_the_file_stays() {
    let sandbox = sandbox(TEXT);
    let arguments = [
        "agent",
        "configure",
        "--author",
        "a@example.com",
        "--timeout",
        "90",
    ];
    let done = sandbox.run(arguments).code(0);
    for line in ["+   author: a@example.com", "+     timeout: 90"] {
        assert!(done.stderr.contains(line), "{}", done.stderr);
    }
    let expected = TEXT
        .replace("\"1.0.0\"\n", "\"1.0.0\"\n  author: a@example.com\n")
        .replace("main.rs\n", "main.rs\n  runtime:\n    timeout: 90\n");
    assert_eq!(
        fs::read_to_string(sandbox.path("agent.yaml")).unwrap(),
        expected
    );
    let again = sandbox.run(arguments).code(0);
    assert!(again.stdout.contains("lacks nothing"), "{again:?}");
}

#[test]
fn values_are_checked_as_the_model_checks_them() {
    let sandbox = sandbox(TEXT);
    for (flag, value) in [
        ("--author", "nobody"),
        ("--name", "My Agent"),
        ("--memory", "lots"),
        ("--cpu", "0"),
        ("--timeout", "3601"),
        ("--entrypoint", "/agent.py"),
    ] {
        sandbox
            .run(["agent", "configure", flag, value])
            .code(2)
            .says(flag);
    }
    // A mistake elsewhere is shown with its place.
    let with_kind = format!("kind: Pod\n{TEXT}");
    fs::write(sandbox.path("agent.yaml"), &with_kind).unwrap();
    sandbox
        .run(["agent", "configure", "--author", "a@example.com"])
        .code(2)
        .says("agent.yaml:1:7: kind: ");
    assert_eq!(
        fs::read_to_string(sandbox.path("agent.yaml")).unwrap(),
        with_kind
    );
}

#[test]
fn a_project_without_agent_yaml_gets_one() {
    let sandbox = Sandbox::new();
    let arguments = [
        "agent",
        "configure",
        "--name",
        "new",
        "--agent-version",
        "1.0",
        "--author",
        "a@example.com",
        "--entrypoint",
        "agent.py",
        "--json",
    ];
    let document = sandbox.run(arguments).code(0).json();
    assert_eq!(document["changed"], true);
    let text = fs::read_to_string(sandbox.path("agent.yaml")).unwrap();
    assert_eq!(
        text,
        "apiVersion: v1\nkind: Agent\nmetadata:\n  name: new\n  version: \"1.0\"\n  author: a@example.com\nspec:\n  entrypoint: agent.py\n"
    );
}
