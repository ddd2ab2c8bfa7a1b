//! `agent invoke`: the request, the output, and the errors.

use ppio_agent_client::SessionStatus;
use ppio_sandbox_local::TemplateSpec;
use serde_json::{Value, json};

use crate::support::{Sandbox, agent, config, on_runtime, scripted};

const INVOKE: [&str; 4] = ["agent", "invoke", "--template-id", "agent"];

fn invoke(sandbox: &Sandbox, request: &Value) -> crate::support::Invocation {
    let command = sandbox.command(INVOKE);
    command.arg("--json").arg(request.to_string())
}

#[test]
fn a_value_is_printed_and_its_session_is_closed() {
    let hello = ppio_test_support::example_binary("hello");
    let sandbox = Sandbox::with([agent("agent", &hello)]);

    let done = sandbox
        .command(INVOKE)
        .arg("--input")
        .arg("Ada")
        .run()
        .code(0);
    assert_eq!(done.stdout, "{\n  \"message\": \"Hello, Ada!\"\n}\n");
    let done = done
        .says("answered in ")
        .says(", on the local platform, request ");
    // Only one line is printed, because only commands that create something explain the choice of
    // the platform.
    assert_eq!(done.stderr.lines().count(), 1, "{done:?}");
    assert!(!done.stderr.contains('\u{1b}'), "colour without a terminal");
    assert!(sandbox.sandboxes().is_empty());

    let done = sandbox
        .command(INVOKE)
        .args(["--input", "Ada", "--json"])
        .run()
        .code(0);
    let document = done.json();
    assert_eq!(document["result"], json!({"message": "Hello, Ada!"}));
    assert_eq!(document["kept"], false);
    assert!(document["duration"].is_f64());
    for id in ["session_id", "request_id"] {
        assert!(document[id].as_str().is_some_and(|id| !id.is_empty()));
    }
    assert_eq!(done.stderr, "");
}

#[test]
fn the_request_comes_from_a_flag_a_file_or_standard_input() {
    let hello = ppio_test_support::example_binary("hello");
    let sandbox = Sandbox::with([agent("agent", &hello)]);
    let request = json!({"prompt": "Grace"});
    std::fs::write(sandbox.path("request.json"), request.to_string()).expect("a file");
    std::fs::write(sandbox.path("prompt.txt"), "Grace\n").expect("a file");
    let greeting = json!({"message": "Hello, Grace!"}).to_string();
    let project = sandbox.project("agent", &sandbox.template("agent"));

    for command in [
        sandbox.command(INVOKE).args(["--json", "request.json"]),
        sandbox
            .command(INVOKE)
            .args(["--json", "-"])
            .input(&request.to_string()),
        invoke(&sandbox, &request),
        sandbox.command(INVOKE).input("Grace\n"),
        sandbox.command(INVOKE).arg("--stdin").input("Grace\n"),
        sandbox.command(INVOKE).args(["--file", "prompt.txt"]),
        sandbox
            .command(["agent", "invoke", "--input", "Grace"])
            .in_folder(&project),
        sandbox
            .command(["agent", "invoke", "--input", "Grace", "--project"])
            .arg(&project),
        sandbox
            .command(["agent", "invoke", "--input", "Grace"])
            .env("PPIO_TEMPLATE_ID", sandbox.template("agent")),
    ] {
        let done = command.run().code(0);
        let answer: Value = serde_json::from_str(&done.stdout).expect("JSON");
        assert_eq!(answer.to_string(), greeting);
    }
    // A terminal is read only if an option requests it.
    let typed = sandbox.command(INVOKE).arg("--stdin");
    let (seen, code) = typed.run_on_pty(|terminal| terminal.send_keys("Grace\n\u{4}"));
    assert_eq!(code, Some(0), "{seen}");
    assert!(seen.contains("Hello, Grace!"), "{seen}");
    assert!(sandbox.sandboxes().is_empty());
}

#[test]
fn a_missing_or_invalid_request_is_a_usage_error() {
    let sandbox = Sandbox::new();
    std::fs::write(sandbox.path("broken.json"), "{\n  \"prompt\": }").expect("a file");
    std::fs::write(sandbox.path("empty.txt"), "\n").expect("a file");
    for (arguments, input, expected) in [
        (&[][..], Some(" \n"), "standard input is empty"),
        (&[], None, "standard input is empty"),
        (&["--json", "broken.json"], None, "at line 2 column 13"),
        (
            &["--json", "missing.json"],
            None,
            "cannot read missing.json",
        ),
        (
            &["--json", "-"],
            Some("hello"),
            "standard input is not JSON",
        ),
        (&["--json", "{oh"], None, "the request is not JSON"),
        (
            &["--json", "{}", "--input", "x"],
            None,
            "a prompt and `--json FILE`",
        ),
        (&["--file", "missing.txt"], None, "cannot read missing.txt"),
        (&["--file", "empty.txt"], None, "empty.txt is empty"),
        (&["--stdin"], Some(""), "standard input is empty"),
        (
            &["--file", "x", "--input", "x"],
            None,
            "cannot be used with",
        ),
        (&["--stdin", "--input", "x"], None, "cannot be used with"),
        (&["--stdin", "--file", "x"], None, "cannot be used with"),
        (
            &["--stdin", "--json", "-"],
            Some("x"),
            "a prompt and `--json FILE`",
        ),
        (
            &["--input", "x", "--timeout", "0"],
            None,
            "the shortest value is 1 second",
        ),
        (
            &["--input", "x", "--timeout", "soon"],
            None,
            "a number of seconds",
        ),
        (
            &["--input", "x", "--session", ""],
            None,
            "the value is empty",
        ),
        (
            &["--input", "x", "--session", "s", "--keep"],
            None,
            "cannot be used with",
        ),
        (
            &["--input", "x", "--local", "--remote"],
            None,
            "cannot be used with",
        ),
    ] {
        let mut command = sandbox.command(INVOKE).args(arguments.iter().copied());
        if let Some(input) = input {
            command = command.input(input);
        }
        let done = command.run().code(2).says(expected);
        assert_eq!(done.stdout, "");
    }
}

#[test]
fn strings_of_a_stream_are_printed_as_one_text() {
    let sandbox = Sandbox::with([scripted("agent")]);
    let done = sandbox
        .command(INVOKE)
        .args(["--input", "tell me a story"])
        .run()
        .code(0);
    assert_eq!(done.stdout, "tell me a story\n");
    done.says("4 items in ");

    let mixed = json!({"items": ["a", "b", {"x": 1}, [2], "c\n", null]});
    let done = invoke(&sandbox, &mixed).run().code(0);
    assert_eq!(done.stdout, "ab\n{\"x\":1}\n[2]\nc\nnull\n");

    let done = invoke(&sandbox, &mixed).args(["-o", "json"]).run().code(0);
    let lines = done.json_lines();
    let items: Vec<_> = lines[..6].iter().map(|line| line["item"].clone()).collect();
    assert_eq!(json!({ "items": items }), mixed);
    let end = &lines[6]["end"];
    assert_eq!(
        (end["items"].as_u64(), end["kept"].as_bool()),
        (Some(6), Some(false))
    );
    assert_eq!(lines.len(), 7);
    assert_eq!(done.stderr, "");
}

#[test]
fn items_are_printed_when_they_arrive() {
    let sandbox = Sandbox::with([scripted("agent")]);
    let request = json!({"items": ["first "], "end": "hang"});
    let running = invoke(&sandbox, &request).spawn();
    // The answer never ends, so the output is printed before its end.
    crate::support::eventually("the first item is printed", || running.stdout() == "first ");
    running.interrupt();
    let done = running.wait().code(130);
    // The next output starts on a new line.
    assert!(
        done.stdout == "first \n" || done.stdout == "first ",
        "{done:?}"
    );
    assert!(sandbox.sandboxes().is_empty());
}

#[test]
fn an_error_of_the_agent_is_printed_and_the_exit_code_is_1() {
    let failing = ppio_test_support::test_program("failing-agent");
    let sandbox = Sandbox::with([agent("agent", &failing), scripted("stream")]);
    let done = invoke(&sandbox, &json!({"fail": "no more tea"}))
        .run()
        .code(1);
    assert_eq!(done.stdout, "");
    let done = done
        .says("error: the agent failed")
        .says("no more tea")
        .says("request id: ")
        .says("session id: ")
        .says("help: ");
    assert!(done.stderr.contains("(HTTP 500)"), "{done:?}");

    let done = invoke(&sandbox, &json!({"fail": "no more tea"}))
        .args(["-o", "json"])
        .run();
    let failure = done.code(1).failure();
    assert_eq!(failure["code"], "invocation");
    assert!(
        failure["causes"][0]
            .as_str()
            .is_some_and(|text| text.contains("no more tea"))
    );
    for fact in ["error_type", "request_id", "session_id"] {
        assert!(failure[fact].is_string(), "{failure}");
    }

    let request = json!({"items": ["half "], "end": {"fail": "out of words"}});
    let done = sandbox
        .command(["agent", "invoke", "--template-id", "stream", "--json"])
        .arg(request.to_string())
        .run()
        .code(1);
    assert_eq!(done.stdout, "half \n");
    done.says("out of words");
    assert!(sandbox.sandboxes().is_empty());
}

#[test]
fn an_answer_that_is_cut_off_is_an_error() {
    let sandbox = Sandbox::with([scripted("agent")]);
    let request = json!({"items": ["one "], "pause_ms": 20, "end": "vanish"});
    let done = invoke(&sandbox, &request).run().code(1);
    assert_eq!(done.stdout, "one \n");
    done.says("the agent's answer was cut off");
    assert!(sandbox.sandboxes().is_empty());
}

#[test]
fn a_timeout_ends_the_call_and_its_session() {
    let sandbox = Sandbox::with([scripted("agent")]);
    let done = invoke(&sandbox, &json!({"items": ["a"], "end": "hang"}))
        .args(["--timeout", "2"])
        .run()
        .code(1);
    done.says("no complete answer within 2 s").says("--timeout");
    assert!(sandbox.sandboxes().is_empty());
}

#[test]
fn a_kept_session_is_used_by_the_next_call() {
    let hello = ppio_test_support::example_binary("hello");
    let sandbox = Sandbox::with([agent("agent", &hello)]);
    let call = ["--input", "Ada", "-o", "json"];
    let first = sandbox
        .command(INVOKE)
        .args(call)
        .arg("--keep")
        .run()
        .code(0)
        .json();
    assert_eq!(first["kept"], true);
    let id = first["session_id"].as_str().expect("an id");
    assert_eq!(sandbox.sandboxes(), [id]);

    let again = ["agent", "invoke", "--session", id];
    let second = sandbox.command(again).args(call).run().code(0).json();
    assert_eq!(second["session_id"], id);
    assert_eq!(second["kept"], true);

    on_runtime(async {
        let session = sandbox
            .client()
            .get_session(id)
            .await
            .expect("an answer")
            .expect("a session");
        session.pause().await.expect("paused");
    });
    let done = sandbox
        .command(again)
        .args(["--input", "Ada"])
        .run()
        .code(0);
    done.says("the session is paused, resuming it");
    on_runtime(async {
        let session = sandbox
            .client()
            .get_session(id)
            .await
            .expect("an answer")
            .expect("a session");
        assert_eq!(
            session.get_status().await.expect("an answer"),
            SessionStatus::Active
        );
    });

    let done = sandbox
        .command(INVOKE)
        .args(["--input", "Ada", "--keep"])
        .run()
        .code(0);
    let ids = sandbox.sandboxes();
    assert_eq!(ids.len(), 2);
    let new = ids
        .iter()
        .find(|other| *other != id)
        .expect("a new session");
    done.says(&format!(
        "call it again with `agent invoke --session {new}`"
    ));

    let done = sandbox
        .command(["agent", "invoke", "--session", "missing", "--input", "x"])
        .run();
    done.code(3).says("\"missing\" not found").says("help: ");
}

#[test]
fn a_failed_call_with_keep_leaves_its_session_open() {
    let failing = ppio_test_support::test_program("failing-agent");
    let sandbox = Sandbox::with([agent("agent", &failing)]);
    let done = invoke(&sandbox, &json!({"fail": "no"}))
        .arg("--keep")
        .run()
        .code(1);
    let ids = sandbox.sandboxes();
    assert_eq!(ids.len(), 1);
    done.says(&ids[0]).says("agent logs --session");
}

#[test]
fn the_output_of_an_agent_that_cannot_start_is_shown() {
    let crashes = TemplateSpec::new("agent")
        .start_command("echo 'cannot open the model' >&2; exit 3")
        .config(config("agent"));
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(
        folder.path().join("agent.py"),
        "raise RuntimeError('no snakes')\n",
    )
    .expect("a file");
    let mut python = config("python");
    python.spec.entrypoint = Some("agent.py".parse().expect("a file"));
    let python = TemplateSpec::new("python")
        .directory(folder.path())
        .config(python);
    let sandbox = Sandbox::with([crashes, python]);

    let done = sandbox.command(INVOKE).args(["--input", "x"]).run().code(1);
    done.says("did not start")
        .says("exit status: 3")
        .says("cannot open the model")
        .says("agent dev");
    let done = sandbox
        .run(["agent", "invoke", "--template-id", "python", "--input", "x"])
        .code(1);
    done.says("did not start").says("no snakes");
    assert!(sandbox.sandboxes().is_empty());
}
