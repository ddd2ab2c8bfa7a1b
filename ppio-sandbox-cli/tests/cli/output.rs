//! Standard output and standard error: colours, --quiet, JSON, and no secrets.

use std::io::Read as _;

use crate::support::{Sandbox, agent, eventually, scripted};

/// Only `local up` and `local env` print the API key.
#[test]
fn only_two_commands_print_the_key() {
    let hello = ppio_test_support::example_binary("hello");
    let failing = ppio_test_support::test_program("failing-agent");
    let sandbox = Sandbox::with([agent("agent", &hello), agent("failing", &failing)]);
    let key = sandbox.key();
    let project = sandbox.project("agent", &sandbox.template("agent"));
    let kept = sandbox
        .command(["agent", "invoke", "--input", "x", "--keep"])
        .in_folder(&project);
    kept.run().code(0);
    for arguments in [
        &["local", "status"][..],
        &["agent", "list"],
        &["agent", "invoke", "--input", "x"],
        &[
            "agent",
            "invoke",
            "--template-id",
            "failing",
            "--json",
            r#"{"fail": "x"}"#,
        ],
        &["agent", "status"],
        &["agent", "logs"],
        &["doctor"],
        &["agent", "stop"],
        &["agent", "delete", "--yes"],
        &["local", "down"],
    ] {
        for output in ["text", "json"] {
            let command = sandbox
                .command(arguments.iter().copied())
                .in_folder(&project);
            let done = command.args(["--output", output]).run();
            assert!(!done.stdout.contains(&key), "{arguments:?}: {done:?}");
            assert!(!done.stderr.contains(&key), "{arguments:?}: {done:?}");
        }
    }
}

#[test]
fn help_does_not_show_values_of_the_environment() {
    let sandbox = Sandbox::new();
    let help = sandbox
        .command(["agent", "invoke", "--help"])
        .env("PPIO_API_KEY", "secret-of-mine");
    let done = help.run().code(0);
    assert!(!done.stdout.contains("secret-of-mine"));
    for expected in ["--json [<FILE>]", "Exit codes", "Examples:", "--session"] {
        let root = sandbox.run(["--help"]).code(0).stdout;
        assert!(
            done.stdout.contains(expected) || root.contains(expected),
            "no {expected:?}"
        );
    }
}

#[test]
fn quiet_prints_results_and_errors() {
    let sandbox = Sandbox::with([scripted("agent")]);
    let done = sandbox
        .run([
            "agent",
            "invoke",
            "--template-id",
            "agent",
            "--input",
            "two words",
            "--quiet",
        ])
        .code(0);
    assert_eq!(
        (done.stdout.as_str(), done.stderr.as_str()),
        ("two words\n", "")
    );
    let done = sandbox
        .run(["-q", "agent", "status", "--template-id", "missing"])
        .code(3);
    assert!(done.stderr.starts_with("error: "), "{done:?}");
}

#[test]
fn json_has_three_flags_at_every_position() {
    let mut sandbox = Sandbox::new();
    sandbox.up();
    for arguments in [
        &["agent", "list", "--json"][..],
        &["--json", "agent", "list"],
        &["agent", "--json", "list"],
        &["agent", "list", "-o", "json"],
        &["--output", "json", "agent", "list"],
    ] {
        let done = sandbox.run(arguments.iter().copied()).code(0);
        assert_eq!((done.stdout.as_str(), done.stderr.as_str()), ("[]\n", ""));
    }
}

#[test]
fn colours_are_for_terminals_without_no_color() {
    let sandbox = Sandbox::new();
    let command = || sandbox.command(["agent", "list"]);
    let colours = |text: &str| text.contains("\u{1b}[");

    assert!(!colours(&command().run().code(3).stderr));
    let seen = command().env("TERM", "xterm").output_on_pty();
    assert!(colours(&seen) && seen.contains("error:"), "{seen:?}");
    let seen = command()
        .env("TERM", "xterm")
        .env("NO_COLOR", "1")
        .output_on_pty();
    assert!(!colours(&seen) && seen.contains("error: "), "{seen:?}");
}

#[test]
fn deletion_is_confirmed_on_a_terminal() {
    let hello = ppio_test_support::example_binary("hello");
    let sandbox = Sandbox::with([agent("agent", &hello)]);
    let delete = || {
        let command = sandbox.command(["agent", "delete", "--template-id", "agent"]);
        command.env("TERM", "xterm").env("NO_COLOR", "1")
    };
    for answer in ["\n", "n\n", "what?\n"] {
        let seen = delete().answer("[y/N]", answer);
        assert!(seen.contains("delete agent (template "), "{seen:?}");
        assert!(seen.contains("nothing was deleted"), "{seen:?}");
    }
    // The question is answered with Ctrl-C.
    let seen = delete().answer("[y/N]", "\u{3}");
    assert!(!seen.contains("deleted agent"), "{seen:?}");
    assert!(!sandbox.template("agent").is_empty());

    let seen = delete().answer("[y/N]", "y\n");
    assert!(seen.contains("deleted agent (template "), "{seen:?}");
    let left = sandbox.run(["agent", "list", "--json"]).code(0).json();
    assert_eq!(left, serde_json::json!([]));
}

#[test]
fn closed_output_ends_the_call_and_its_session() {
    let sandbox = Sandbox::with([scripted("agent")]);
    let request = serde_json::json!({"items": vec!["word "; 10_000], "pause_ms": 5}).to_string();
    let (mut asking, mut stdout) = sandbox
        .command([
            "agent",
            "invoke",
            "--template-id",
            "agent",
            "--json",
            &request,
        ])
        .spawn_unread();
    let mut start = [0; 5];
    stdout.read_exact(&mut start).expect("a start");
    drop(stdout);
    eventually("the command ends", || asking.status().is_some());
    assert!(asking.status().expect("an exit status").success());
    eventually("the session is closed", || sandbox.sandboxes().is_empty());
}

#[test]
fn completions_and_manual_pages_have_every_command() {
    let sandbox = Sandbox::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let done = sandbox.run(["completions", shell]).code(0);
        for word in [
            "invoke",
            "attach",
            "doctor",
            "completions",
            "detach",
            "template-id",
        ] {
            assert!(done.stdout.contains(word), "no {word} for {shell}");
        }
    }
    // bash itself runs the completion.
    let script = sandbox.run(["completions", "bash"]).code(0).stdout;
    let ask = format!(
        "{script}\nCOMP_WORDS=(ppio-sandbox-cli agent inv); COMP_CWORD=2\n\
         words=($(complete -p ppio-sandbox-cli)); for ((i = 0; i < ${{#words[@]}}; i++)); do\n\
         [ \"${{words[i]}}\" = -F ] && complete=${{words[i + 1]}}; done\n\
         $complete ppio-sandbox-cli inv agent; echo \"${{COMPREPLY[*]}}\""
    );
    let bash = std::process::Command::new("bash")
        .args(["-c", &ask])
        .output();
    let bash = bash.expect("a bash");
    assert_eq!(
        String::from_utf8_lossy(&bash.stdout),
        "invoke\n",
        "{bash:?}"
    );

    let page = sandbox.run(["man"]).code(0).stdout;
    assert!(page.contains(".TH ppio-sandbox-cli 1"), "{page}");
    let folder = sandbox.path("man");
    let done = sandbox.command(["man"]).arg(&folder).run().code(0);
    done.says("wrote ");
    for page in [
        "ppio-sandbox-cli.1",
        "ppio-sandbox-cli-agent-attach.1",
        "ppio-sandbox-cli-agent-invoke.1",
        "ppio-sandbox-cli-local-up.1",
    ] {
        let text = std::fs::read_to_string(folder.join(page)).expect(page);
        assert!(text.contains(".SH SYNOPSIS"), "{page}");
    }
    let hidden =
        std::fs::read_to_string(folder.join("ppio-sandbox-cli-local-up.1")).expect("a page");
    assert!(!hidden.contains("in\\-background"), "{hidden}");
    sandbox
        .run(["man", "/proc/missing"])
        .code(4)
        .says("cannot write the manual");
}
