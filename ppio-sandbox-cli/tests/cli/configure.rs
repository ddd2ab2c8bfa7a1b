//! `agent configure`, with flags and with answers at a terminal.

use std::fs;

use ppio_agent_protocol::AgentConfig;

use crate::support::snapshot::screen;
use crate::support::{Sandbox, everything_in};

const TEXT: &str = "# by hand\nmetadata:\n  name: my-agent # stays\n  version: \"1.0.0\"\n\nspec:\n  entrypoint: src/main.rs\n";

fn sandbox(text: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    fs::write(sandbox.path("agent.yaml"), text).expect("written");
    sandbox
}

#[test]
fn missing_values_are_named_with_their_flags() {
    let sandbox = sandbox(TEXT);
    sandbox
        .run(["agent", "configure"])
        .code(2)
        .says("agent.yaml has no valid metadata.author")
        .says("add --author …");
    assert_eq!(
        fs::read_to_string(sandbox.path("agent.yaml")).unwrap(),
        TEXT
    );
}

#[test]
fn flags_are_written_and_the_rest_is_unchanged() {
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
    assert!(again.stdout.contains("is complete"), "{again:?}");
}

#[test]
fn tags_replace_those_in_the_file() {
    let sandbox = sandbox(&TEXT.replace("\n\n", "\n  author: a@example.com\n\n"));
    let tags = |tags: &[&str]| {
        let flags = tags.iter().flat_map(|tag| ["--tag", tag]);
        let command = sandbox.command(["agent", "configure"]).args(flags);
        command.run().code(0);
        let text = fs::read_to_string(sandbox.path("agent.yaml")).unwrap();
        assert!(
            text.starts_with("# by hand\nmetadata:\n  name: my-agent # stays\n"),
            "{text}"
        );
        let config = AgentConfig::from_yaml(&text).expect("valid");
        config.metadata.extra["tags"].clone()
    };
    for expected in [&["ai", "no, not: this"][..], &["chat"], &["ai", "chat"]] {
        assert_eq!(tags(expected), serde_json::json!(expected));
    }
    sandbox.run(["agent", "configure", "--tag", ""]).code(2);
}

#[test]
fn values_are_validated() {
    let sandbox = sandbox(TEXT);
    for (flag, value) in [
        ("--author", "missing"),
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
    // An error in another value is shown with its line.
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
fn agent_yaml_is_created() {
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
        "apiVersion: v1\nkind: Agent\nmetadata:\n  name: new\n  version: \"1.0\"\n  author: \
         a@example.com\nspec:\n  entrypoint: agent.py\n"
    );
}

/// A file written by hand: one value is not valid, and other values are missing.
const BY_HAND: &str = r#"# Ours, by hand.
kind: Agent
spec:
    # Where it starts.
    entrypoint: src/main.rs   # the usual place
    runtime:
        timeout: 90000 # too long
        # memory_limit: 1Gi
    x-team: blue
metadata:
    version: "1.0.0"
    name: 'my-agent'
"#;

/// The questions and the typed answers.
const TALK: [(&str, &str); 9] = [
    ("Author's e-mail address", "missing\r"),
    ("\"missing\" is not an e-mail address", ""),
    ("Author's e-mail address", "ada@example.com\r"),
    // This value is optional.
    ("Description (Enter for none)", "\r"),
    ("Start timeout in seconds", "soon\r"),
    ("not a whole number of seconds", ""),
    ("Start timeout in seconds", "90\r"),
    ("Memory, as in 512Mi", "512Mi\r"),
    ("Processors, as in 1 or 500m", "\r"),
];

/// Answers the questions in [`TALK`], then a last question with `last`. Returns the screen and the
/// exit code.
fn talk(sandbox: &Sandbox, last: &str) -> (String, Option<i32>) {
    let configure = sandbox.command(["agent", "configure"]);
    let configure = configure
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("TERM", "xterm-256color");
    let (written, code) = configure.run_on_pty(|terminal| {
        for (question, answer) in TALK.into_iter().chain([("agent.yaml? [y/N]", last)]) {
            terminal.expect_output(question);
            terminal.send_keys(answer);
        }
    });
    (screen(&written), code)
}

#[test]
fn missing_and_invalid_values_are_prompted_for_and_the_changes_are_shown() {
    let sandbox = sandbox(BY_HAND);
    let (seen, code) = talk(&sandbox, "y\r");
    assert_eq!(code, Some(0), "{seen}");
    // There is no prompt for valid values.
    for question in ["Name", "Version", "File with the entrypoint"] {
        assert!(!seen.contains(question), "{seen}");
    }
    let difference = [
        "-         timeout: 90000 # too long",
        "+         timeout: 90 # too long",
        r#"+         memory_limit: "512Mi""#,
        "+     author: ada@example.com",
    ];
    for line in difference {
        assert!(seen.contains(line), "no {line:?} in {seen}");
    }
    let expected = BY_HAND
        .replace(
            "90000 # too long\n",
            "90 # too long\n        memory_limit: \"512Mi\"\n",
        )
        .replace("'my-agent'\n", "'my-agent'\n    author: ada@example.com\n");
    let written = fs::read_to_string(sandbox.path("agent.yaml")).expect("agent.yaml");
    assert_eq!(written, expected);
}

#[test]
fn the_answer_no_leaves_the_file_unchanged() {
    let sandbox = sandbox(BY_HAND);
    for answer in ["n\r", "\r"] {
        let (seen, code) = talk(&sandbox, answer);
        assert_eq!(code, Some(2), "{seen}");
        assert!(seen.contains("nothing was written"), "{seen}");
        let text = fs::read_to_string(sandbox.path("agent.yaml")).expect("agent.yaml");
        assert_eq!(text, BY_HAND);
        assert_eq!(
            everything_in(&sandbox.path("")),
            [std::path::Path::new("agent.yaml")]
        );
    }
}

#[test]
fn the_defaults_of_a_new_file_come_from_the_folder() {
    let sandbox = Sandbox::new();
    let folder = sandbox.path("My_Agent");
    fs::create_dir(&folder).expect("a folder");
    fs::write(folder.join("app.py"), "").expect("written");
    fs::write(
        sandbox.path(".gitconfig"),
        "[user]\n\temail = git@example.com\n",
    )
    .expect("written");
    let configure = sandbox.command(["agent", "configure"]).in_folder(&folder);
    let (seen, code) = configure.run_on_pty(|terminal| {
        for question in [
            "Name",
            "Version",
            "Author's",
            "Description",
            "File with",
            "Start timeout",
            "Memory",
            "Processors",
        ] {
            terminal.expect_output(question);
            terminal.send_keys("\r");
        }
        terminal.expect_output("[y/N]");
        terminal.send_keys("yes\r");
    });
    assert_eq!(code, Some(0), "{seen}");
    let text = fs::read_to_string(folder.join("agent.yaml")).expect("agent.yaml");
    assert_eq!(
        text,
        "apiVersion: v1\nkind: Agent\nmetadata:\n  name: \
         my-agent\n  version: \"0.1.0\"\n  author: git@example.com\nspec:\n  entrypoint: app.py\n"
    );
}
