//! Stored responses: read again, continued, cancelled and deleted.

use std::net::SocketAddr;
use std::process::Command;

use ppio_test_support::call::send_to;
use ppio_test_support::{AgentProcess, eventually_some, with_timeout};
use serde_json::{Value, json};

use super::responses::{output_text, read, stream};
use super::{error, get, post, send, start};

const PATH: &str = "/v1/responses";

fn path(response: &Value) -> String {
    format!("{PATH}/{}", response["id"].as_str().unwrap())
}

/// Waits until a response has ended, and returns it.
async fn ended(agent: SocketAddr, path: &str) -> Value {
    eventually_some("the end of a response", async || {
        let response = get(agent, path).await;
        (response["status"] != "in_progress").then_some(response)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stored_response_can_be_read_again() {
    let agent = start();
    let agent = agent.addr();
    for input in ["hello", "weather", "value", "steps", "empty", "many 500"] {
        let body = json!({"model": "m", "input": input, "instructions": "x", "stream": true});
        let events = stream(agent, &body).await;
        let response = &events.last().unwrap()["response"];
        let path = path(response);
        assert_eq!(get(agent, &path).await, *response, "{input}");
        for after in [
            None,
            Some(0),
            Some(3),
            Some(events.len() - 2),
            Some(events.len() + 5),
        ] {
            let query = after.map_or_else(String::new, |after| format!("&starting_after={after}"));
            let answer = send(agent, "GET", &format!("{path}?stream=true{query}"), "").await;
            assert_eq!(answer.status(), 200);
            let first = after.map_or(0, |after| after + 1);
            let rest = read(&answer.text().await, first as u64);
            assert_eq!(
                rest,
                events.get(first..).unwrap_or_default(),
                "{input} {after:?}"
            );
        }
        let deleted = send(agent, "DELETE", &path, "").await.json().await;
        assert_eq!(
            deleted,
            json!({"id": response["id"], "object": "response", "deleted": true})
        );
        error(send(agent, "GET", &path, "").await, 404, "ResponseNotFound").await;
    }
    let whole = post(agent, PATH, &json!({"input": "hello"})).await;
    assert_eq!(get(agent, &path(&whole)).await, whole);
    let bad = format!("{}?stream=true&starting_after=x", path(&whole));
    let message = error(send(agent, "GET", &bad, "").await, 400, "BadRequest").await;
    assert!(message.contains("starting_after"), "{message}");
    let not_stored = post(agent, PATH, &json!({"input": "hello", "store": false})).await;
    let answer = send(agent, "GET", &path(&not_stored), "").await;
    error(answer, 404, "ResponseNotFound").await;
    // A run of another protocol is not a response.
    let invoked = send(agent, "POST", "/invocations", r#"{"prompt": "hello"}"#).await;
    let id = invoked.headers()["x-request-id"]
        .to_str()
        .unwrap()
        .to_owned();
    let answer = send(agent, "GET", &format!("{PATH}/resp_{id}"), "").await;
    error(answer, 404, "ResponseNotFound").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_background_response_runs_to_its_end() {
    let agent = start();
    let agent = agent.addr();
    let body = json!({"input": "slow 5 50", "background": true});
    let begun = post(agent, PATH, &body).await;
    assert_eq!(begun["status"], "in_progress", "{begun}");
    assert_eq!(begun["background"], true);
    assert_eq!(begun["output"], json!([]));
    let path_of_begun = path(&begun);
    // A reader that joins in the meantime gets all events, in their order.
    let read_on = send(agent, "GET", &format!("{path_of_begun}?stream=true"), "").await;
    let events = read(&read_on.text().await, 0);
    let last = events.last().unwrap();
    assert_eq!(last["type"], "response.completed");
    assert_eq!(output_text(&last["response"]), "0 1 2 3 4 ");
    let completed = ended(agent, &path_of_begun).await;
    assert_eq!(completed, last["response"]);
    assert_eq!(completed["created_at"], begun["created_at"]);

    for (input, code, message) in [
        ("fail-first", "ModelError", "no such model"),
        ("fail-later", "ModelError", "the model went away"),
        ("panic", "Panic", "the agent panicked"),
    ] {
        let begun = post(agent, PATH, &json!({"input": input, "background": true})).await;
        let failed = ended(agent, &path(&begun)).await;
        assert_eq!(failed["status"], "failed", "{failed}");
        assert_eq!(failed["error"]["code"], code, "{failed}");
        let text = failed["error"]["message"].as_str().unwrap();
        assert!(text.starts_with(message), "{failed}");
        let answer = send(agent, "GET", &format!("{}?stream=true", path(&begun)), "").await;
        let events = read(&answer.text().await, 0);
        let last = events.last().unwrap();
        assert_eq!(last["type"], "response.failed");
        assert_eq!(last["response"], failed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_response_can_be_cancelled() {
    let agent = start();
    let agent = agent.addr();
    let body = json!({"input": "hang", "background": true});
    for delete in [false, true] {
        let begun = post(agent, PATH, &body).await;
        let path = path(&begun);
        let mut reader = send(agent, "GET", &format!("{path}?stream=true"), "").await;
        let mut events = String::new();
        while !events.contains("waiting") {
            events += &with_timeout("an event", reader.next_text()).await.unwrap();
        }
        if delete {
            let answer = send(agent, "DELETE", &path, "").await;
            assert_eq!(answer.status(), 200);
            error(send(agent, "GET", &path, "").await, 404, "ResponseNotFound").await;
        } else {
            // Cancels twice, once with the body that clients send.
            for body in ["{}", ""] {
                let answer = send(agent, "POST", &format!("{path}/cancel"), body).await;
                let cancelled = answer.json().await;
                assert_eq!(cancelled["status"], "cancelled", "{cancelled}");
                assert_eq!(output_text(&cancelled), "waiting");
                assert_eq!(get(agent, &path).await, cancelled);
            }
        }
        while let Some(more) = with_timeout("the end", reader.next_text()).await {
            events += &more;
        }
        let events = read(&events, 0);
        let last = events.last().unwrap();
        assert_eq!(last["type"], "response.failed");
        assert_eq!(last["response"]["status"], "cancelled");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_response_continues_an_earlier_one() {
    let agent = start();
    let agent = agent.addr();
    let first = json!({
        "input": "weather", "instructions": "Be short.", "conversation": "conv_1",
    });
    let first = post(agent, PATH, &first).await;
    let second = json!({"input": "hello", "previous_response_id": first["id"]});
    let second = post(agent, PATH, &second).await;
    assert_eq!(second["previous_response_id"], first["id"]);
    // Each response contains everything that it needs from those before it.
    send(agent, "DELETE", &path(&first), "").await;
    let third = json!({
        "input": "echo", "previous_response_id": second["id"], "instructions": "Be kind.",
    });
    let third = post(agent, PATH, &third).await;
    let seen: Value = serde_json::from_str(&output_text(&third)).unwrap();
    let messages = json!([
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "weather"},
        {"id": first["output"][1]["id"], "role": "assistant", "content": "It is 20 degrees.",
         "reasoning_content": "The user wants the weather."},
        {"role": "user", "content": "hello"},
        {"id": second["output"][0]["id"], "role": "assistant", "content": "Hello, world!"},
        {"role": "user", "content": "echo"},
    ]);
    assert_eq!(seen["messages"], messages);
    assert_eq!(seen["thread_id"], "conv_1");

    let running = post(agent, PATH, &json!({"input": "hang", "background": true})).await;
    let failed = post(
        agent,
        PATH,
        &json!({"input": "fail-later", "background": true}),
    )
    .await;
    ended(agent, &path(&failed)).await;
    for (id, status, code, text) in [
        (&first["id"], 404, "ResponseNotFound", "no response"),
        (&running["id"], 400, "PreviousResponse", "in progress"),
        (&failed["id"], 400, "PreviousResponse", "did not complete"),
    ] {
        let body = json!({"input": "hello", "previous_response_id": id}).to_string();
        let message = error(send(agent, "POST", PATH, &body).await, status, code).await;
        assert!(message.contains(text), "{message}");
    }
    let both = json!({"input": "a", "previous_response_id": second["id"], "conversation": "c"});
    let answer = send(agent, "POST", PATH, &both.to_string()).await;
    error(answer, 400, "UnsupportedParameter").await;
}

/// Returns the types and texts of a list of items.
fn texts(list: &Value) -> Vec<(String, String)> {
    let items = list["data"].as_array().unwrap().iter();
    items
        .map(|item| {
            let parts = [&item["content"], &item["summary"]];
            let mut parts = parts.into_iter().filter_map(Value::as_array).flatten();
            let text = parts.find_map(|part| part["text"].as_str());
            let text = text.or(item["output"].as_str()).or(item["name"].as_str());
            (
                item["type"].as_str().unwrap().to_owned(),
                text.unwrap_or_default().to_owned(),
            )
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_input_of_a_response_is_listed() {
    let agent = start();
    let agent = agent.addr();
    let search = json!({"type": "web_search_call", "id": "ws_1", "status": "completed"});
    let image =
        json!({"type": "input_image", "image_url": "https://a.example/cat", "detail": "auto"});
    let first = json!({"instructions": "Be short.", "input": [
        {"role": "developer", "content": "Be kind."},
        {"role": "user", "content": [image]},
        {"type": "function_call", "call_id": "c1", "name": "see", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "a cat"},
        {"role": "assistant", "content": "A cat."},
        search,
        {"id": "msg_mine", "role": "user", "content": "weather"},
    ]});
    let first = post(agent, PATH, &first).await;
    let list = get(agent, &format!("{}/input_items?order=asc", path(&first))).await;
    let own = |items: &[(&str, &str)]| -> Vec<(String, String)> {
        let items = items.iter();
        items
            .map(|&(kind, text)| (kind.to_owned(), text.to_owned()))
            .collect()
    };
    let sent = [
        ("message", "Be kind."),
        ("message", ""),
        ("function_call", "see"),
        ("function_call_output", "a cat"),
        ("message", "A cat."),
        ("web_search_call", ""),
        ("message", "weather"),
    ];
    assert_eq!(texts(&list), own(&sent), "{list}");
    assert_eq!(list["object"], "list");
    assert_eq!(list["has_more"], false);
    assert_eq!(
        list["data"][0]["content"],
        json!([{"type": "input_text", "text": "Be kind."}])
    );
    assert_eq!(list["data"][1]["content"], json!([image]));
    assert_eq!(list["data"][4]["content"][0]["type"], "output_text");
    assert_eq!(list["data"][5], search);
    assert_eq!(list["first_id"], list["data"][0]["id"]);
    assert_eq!(list["last_id"], "msg_mine");

    // Lists the items including those of the continued response, also in pages from the last item
    // on.
    let second = json!({"input": "echo", "previous_response_id": first["id"]});
    let second = post(agent, PATH, &second).await;
    let items = format!("{}/input_items", path(&second));
    let all = get(agent, &items).await;
    let mut expected = own(&[("message", "echo")]);
    let answered = [
        ("message", "It is 20 degrees."),
        ("reasoning", "The user wants the weather."),
    ];
    expected.extend(own(&answered));
    expected.extend(own(&sent).into_iter().rev());
    assert_eq!(texts(&all), expected, "{all}");
    // Items of the answer keep their ids.
    assert_eq!(all["data"][1]["id"], first["output"][1]["id"]);
    let mut pages = Vec::new();
    let mut after = String::new();
    loop {
        let page = get(agent, &format!("{items}?limit=4{after}")).await;
        pages.extend(page["data"].as_array().unwrap().clone());
        if page["has_more"] == false {
            break;
        }
        after = format!("&after={}", page["last_id"].as_str().unwrap());
    }
    assert_eq!(Value::from(pages), all["data"]);

    for (query, text) in [
        ("limit=0", "`limit`"),
        ("limit=101", "`limit`"),
        ("limit=x", "`limit`"),
        ("order=up", "`order`"),
        ("after=msg_other", "`after`"),
    ] {
        let answer = send(agent, "GET", &format!("{items}?{query}"), "").await;
        let message = error(answer, 400, "BadRequest").await;
        assert!(
            message.contains(text.trim_matches('`')),
            "{query}: {message}"
        );
    }
    let unknown = send(agent, "GET", "/v1/responses/resp_x/input_items", "").await;
    error(unknown, 404, "ResponseNotFound").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_its_caller_can_read_a_response() {
    let agent = start();
    let agent = agent.addr();
    let key = |key| [("authorization", key), ("content-type", "application/json")];
    let body = json!({"input": "hello"}).to_string();
    let mine = send_to(agent, "POST", PATH, &key("Bearer a"), body).await;
    let mine = mine.json().await;
    for (headers, status) in [
        (&key("Bearer a")[..1], 200),
        (&key("Bearer b")[..1], 404),
        (&[], 404),
    ] {
        let answer = send_to(agent, "GET", &path(&mine), headers, String::new()).await;
        assert_eq!(answer.status(), status, "{headers:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stored_responses_have_size_limits() {
    let agent = AgentProcess::command(Command::new(env!("CARGO_BIN_EXE_protocol-agent")))
        .env("PPIO_AGENT_MAX_RUN_SIZE", "4KiB")
        .env("PPIO_AGENT_MAX_TOTAL_RUN_SIZE", "64KiB")
        .start();
    let agent = agent.addr();
    let large = json!({"input": format!("hello {}", "x".repeat(8 << 10))});
    let first = post(agent, PATH, &large).await;
    assert_eq!(get(agent, &path(&first)).await, first);
    let next = json!({"input": "hello", "previous_response_id": first["id"]}).to_string();
    let message = error(
        send(agent, "POST", PATH, &next).await,
        400,
        "PreviousResponse",
    )
    .await;
    assert!(message.contains("too large to keep"), "{message}");
    // Requests count towards the limit as well as answers.
    let small = json!({"input": format!("hello {}", "x".repeat(3 << 10))});
    let oldest = post(agent, PATH, &small).await;
    for _ in 0..40 {
        post(agent, PATH, &small).await;
    }
    error(
        send(agent, "GET", &path(&oldest), "").await,
        404,
        "ResponseNotFound",
    )
    .await;
    // The answer is longer than the part that is kept.
    let long = post(agent, PATH, &json!({"input": "many 2000"})).await;
    assert_eq!(long["status"], "completed");
    error(send(agent, "GET", &path(&long), "").await, 410, "Gone").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_idempotency_key_returns_the_same_response() {
    let agent = start();
    let headers = [
        ("idempotency-key", "k1"),
        ("content-type", "application/json"),
    ];
    let body = json!({"input": "hello"}).to_string();
    let mut answers = Vec::new();
    for _ in 0..2 {
        let answer = send_to(agent.addr(), "POST", PATH, &headers, body.clone()).await;
        answers.push(answer.json().await);
    }
    assert_eq!(answers[0]["id"], answers[1]["id"]);
    assert_eq!(answers[0]["output"], answers[1]["output"]);
    let other = json!({"input": "value"}).to_string();
    let answer = send_to(agent.addr(), "POST", PATH, &headers, other).await;
    error(answer, 422, "IdempotencyKeyReused").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn responses_in_a_journal_survive_a_restart() {
    let journal = tempfile::tempdir().unwrap();
    let start = || {
        AgentProcess::command(Command::new(env!("CARGO_BIN_EXE_protocol-agent")))
            .env("PPIO_AGENT_JOURNAL", journal.path())
            .start()
    };
    let agent = start();
    let first = post(agent.addr(), PATH, &json!({"input": "weather"})).await;
    let running = post(
        agent.addr(),
        PATH,
        &json!({"input": "hang", "background": true}),
    )
    .await;
    drop(agent);
    let agent = start();
    let agent = agent.addr();
    assert_eq!(get(agent, &path(&first)).await, first);
    let interrupted = get(agent, &path(&running)).await;
    assert_eq!(interrupted["status"], "failed", "{interrupted}");
    let next = json!({"input": "echo", "previous_response_id": first["id"]});
    let next = post(agent, PATH, &next).await;
    assert!(output_text(&next).contains("It is 20 degrees."), "{next}");
}
