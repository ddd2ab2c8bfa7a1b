//! `agent invoke --protocol`: an agent with all protocols, and agents without them.

use serde_json::{Value, json};

use crate::support::{Invocation, Sandbox, agent, eventually};

const ALL: [&str; 4] = ["openai", "ag-ui", "a2a", "mcp"];

/// Returns a platform with an agent whose behaviour is selected by the prompt.
fn sandbox() -> Sandbox {
    let binary = ppio_test_support::example_program("protocol-tests", "protocol-agent");
    Sandbox::with([agent("agent", &binary)])
}

fn call(sandbox: &Sandbox, protocol: &str) -> Invocation {
    sandbox
        .command(["agent", "invoke", "--template-id", "agent", "--protocol"])
        .arg(protocol)
}

fn prompt(sandbox: &Sandbox, protocol: &str, prompt: &str) -> Invocation {
    call(sandbox, protocol).args(["--input", prompt])
}

#[test]
fn every_protocol_prints_the_answer() {
    let sandbox = sandbox();
    let tool_call = r#"tool call: get_weather {"city":"Paris"}"#;
    // A prompt, the protocols, their output, and their notes.
    for (input, protocols, printed, noted) in [
        (
            "hello",
            &ALL[..],
            "Hello, world!\n",
            &["on the local platform"][..],
        ),
        ("value", &ALL, "{\"answer\":42}\n", &[]),
        ("empty", &["openai", "ag-ui", "a2a"], "", &[]),
        (
            "weather",
            &["ag-ui", "mcp"],
            "It is 20 degrees.\n",
            &[tool_call, r#"tool result: {"degrees":20}"#],
        ),
        ("weather", &["openai", "a2a"], "It is 20 degrees.\n", &[]),
        (
            "approve",
            &["ag-ui", "mcp"],
            "May I?\n",
            &["interrupt interrupt-1 (approval): May I send the mail?"],
        ),
        (
            "approve",
            &["a2a"],
            "May I?\n",
            &["interrupt of task ", "(approval): May I send the mail?"],
        ),
        (
            "approve",
            &["openai"],
            "May I?\nMay I send the mail?\n",
            &[],
        ),
        ("steps", &["a2a"], "done\n", &[]),
    ] {
        for protocol in protocols {
            let done = prompt(&sandbox, protocol, input).run().code(0);
            if input == "steps" {
                assert!(done.stdout.contains("done"), "{protocol}: {done:?}");
                assert!(done.stdout.contains("{\"percent\":50}"), "{done:?}");
            } else {
                assert_eq!(done.stdout, printed, "{protocol} {input}: {done:?}");
            }
            noted.iter().fold(done, |done, noted| done.says(noted));
        }
    }
    assert!(sandbox.sandboxes().is_empty());
}

#[test]
fn a_request_in_json_is_that_of_the_protocol() {
    let sandbox = sandbox();
    let tool = json!({
        "prompt": "tool",
        "tools": [{"type": "function", "function": {"name": "clock", "parameters": {}}}],
    });
    let done = call(&sandbox, "openai").arg("--json").arg(tool.to_string());
    done.run()
        .code(0)
        .says(r#"tool call: clock {"city":"Paris"}"#);

    let whole = json!({"prompt": "hello", "stream": false});
    let done = call(&sandbox, "openai")
        .arg("--json")
        .arg(whole.to_string());
    assert_eq!(done.run().code(0).stdout, "Hello, world!\n");

    let resumed = json!([
        {"interruptId": "interrupt-1", "status": "resolved", "payload": {"approved": true}}
    ]);
    for (protocol, request, printed) in [
        (
            "ag-ui",
            json!({"prompt": "approve", "resume": resumed}),
            "Decided: {\"approved\":true}.\n",
        ),
        (
            "a2a",
            json!({"message": {
                "messageId": "m", "role": "ROLE_USER", "parts": [{"text": "hello"}],
            }}),
            "Hello, world!\n",
        ),
    ] {
        let done = call(&sandbox, protocol)
            .arg("--json")
            .arg(request.to_string());
        assert_eq!(done.run().code(0).stdout, printed, "{protocol}");
    }

    // The note names the task that waits for an answer, in a session that stays open.
    let first = prompt(&sandbox, "a2a", "approve")
        .arg("--keep")
        .run()
        .code(0);
    let task = first.stderr.split("of task ").nth(1).expect("a task");
    let task = task.split(' ').next().expect("an id");
    let answer = json!({"prompt": "approve it", "taskId": task}).to_string();
    let session = &sandbox.sandboxes()[0];
    let done = call(&sandbox, "a2a").args(["--session", session, "--json", &answer]);
    assert_eq!(done.run().code(0).stdout, "Decided: \"approve it\".\n");
}

#[test]
fn json_output_has_the_events_of_the_protocol() {
    let sandbox = sandbox();
    let mut kinds = Vec::new();
    for (protocol, is_event) in [
        (
            "openai",
            (|item| item["object"] == "chat.completion.chunk") as fn(&Value) -> bool,
        ),
        ("ag-ui", |item| item["type"] == "TEXT_MESSAGE_CONTENT"),
        ("a2a", |item| item["result"]["artifactUpdate"].is_object()),
        ("mcp", |item| item["method"] == "notifications/progress"),
    ] {
        let lines = prompt(&sandbox, protocol, "hello").arg("--json").run();
        let lines = lines.code(0).json_lines();
        let (end, items) = lines.split_last().expect("lines");
        assert_eq!(end["end"]["items"], items.len(), "{protocol}: {end}");
        assert!(
            items.iter().any(|line| is_event(&line["item"])),
            "{items:?}"
        );
        kinds.push(items.len());
    }
    assert!(kinds.iter().all(|&items| items >= 3), "{kinds:?}");

    let whole = json!({"prompt": "hello", "stream": false}).to_string();
    let done = call(&sandbox, "openai").args(["-o", "json", "--json", &whole]);
    let document = done.run().code(0).json();
    assert_eq!(document["result"]["object"], "chat.completion");
    assert!(
        document["request_id"]
            .as_str()
            .is_some_and(|id| !id.is_empty())
    );
}

#[test]
fn a_failure_of_the_agent_is_an_error_by_every_protocol() {
    let sandbox = sandbox();
    for (input, printed, says) in [
        ("fail-first", "", "no such model"),
        ("fail-later", "Hello, \n", "the model went away"),
    ] {
        for protocol in ALL {
            let done = prompt(&sandbox, protocol, input).run().code(1);
            assert_eq!(done.stdout, printed, "{protocol} {input}: {done:?}");
            done.says("error: the agent failed")
                .says(says)
                .says("session id: ");

            let done = prompt(&sandbox, protocol, input).arg("--json").run();
            let failure = done.code(1).failure();
            assert_eq!(failure["code"], "invocation", "{protocol} {input}");
            assert!(
                failure["causes"][0]
                    .as_str()
                    .is_some_and(|text| text.contains(says))
            );
        }
    }
    assert!(sandbox.sandboxes().is_empty());
}

#[test]
fn the_text_is_printed_as_it_arrives_and_ctrl_c_cancels() {
    let sandbox = sandbox();
    let kept = prompt(&sandbox, "openai", "hello")
        .arg("--keep")
        .run()
        .code(0);
    let id = sandbox.sandboxes().pop().expect("a kept session");
    kept.says(&id);
    for (protocol, cancelled) in ALL.into_iter().zip(1..) {
        let running = prompt(&sandbox, protocol, "hang")
            .args(["--session", &id])
            .spawn();
        eventually("the text is printed", || running.stdout() == "waiting");
        running.interrupt();
        running.wait().code(130);
        eventually("the agent's work is cancelled", || {
            let count = prompt(&sandbox, "openai", "cancelled").args(["--session", &id]);
            count.run().code(0).stdout == format!("{cancelled}\n")
        });
    }
}

#[test]
fn an_agent_without_the_protocol_is_explained() {
    // The 404 of the runtime, and that of the author's own routes.
    let names = ["hello", "routes"];
    let agents = names.map(|name| {
        let agent = agent(name, &ppio_test_support::example_binary(name));
        // With this value, the agent answers like an agent that was built without the features of
        // the protocols.
        agent.variable("PPIO_AGENT_PROTOCOLS", "websocket")
    });
    let sandbox = Sandbox::with(agents);
    let paths = ["/v1/chat/completions", "/ag-ui", "/a2a", "/mcp"];
    for (protocol, path) in ALL.into_iter().zip(paths) {
        for name in names {
            let done = sandbox
                .command(["agent", "invoke", "--template-id", name, "--input", "x"])
                .args(["--protocol", protocol])
                .run()
                .code(1);
            assert_eq!(done.stdout, "");
            done.says("error: the agent does not serve ")
                .says(path)
                .says(&format!(
                    "help: build the agent with the feature `{protocol}`"
                ))
                .says("PPIO_AGENT_PROTOCOLS");
        }
    }
    assert!(sandbox.sandboxes().is_empty());
}

#[test]
fn a_404_of_the_agents_function_is_its_failure() {
    let sandbox = sandbox();
    for protocol in ALL {
        let done = prompt(&sandbox, protocol, "missing").run().code(1);
        let done = done
            .says("error: the agent failed")
            .says("no such document");
        assert!(!done.stderr.contains("does not serve"), "{done:?}");
    }
}

#[test]
fn invalid_arguments_and_requests_are_usage_errors() {
    let sandbox = Sandbox::new();
    for (protocol, arguments, expected) in [
        (
            "openai",
            &["--input", "x", "--detach"][..],
            "cannot be used with",
        ),
        (
            "soap",
            &["--input", "x"],
            "possible values: openai, ag-ui, a2a, mcp",
        ),
        ("mcp", &["--json", "{\"a\": 1", "--keep"], "not JSON"),
        ("openai", &["--json", "{\"prompt\": 7}"], "`prompt` is 7"),
        (
            "ag-ui",
            &["--json", "{\"prompt\": \"x\", \"messages\": 1}"],
            "`messages` is 1",
        ),
        (
            "a2a",
            &["--json", "{\"prompt\": \"x\", \"message\": {}}"],
            "remove one of them",
        ),
    ] {
        let done = call(&sandbox, protocol).args(arguments.iter().copied());
        let done = done.run().code(2).says(expected);
        assert_eq!(done.stdout, "");
    }
    for protocol in ALL {
        let list = call(&sandbox, protocol).args(["--json", "-"]).input("[1]");
        list.run().code(2).says("the request is not a JSON object");
    }
}
