//! Push notifications, sent to a receiver in the test.

use std::sync::Arc;

use ppio::AgentRuntimeApp;
use ppio_test_support::{AgentProcess, DEADLINE};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::sync::Notify;

use super::receiver::{Answer, Receiver};
use super::{call, code, message, result};
use crate::support::{Agent, config};

/// An agent that may send notifications to this machine, and that repeats its prompt, fails, asks
/// for approval, or waits.
mod notifying {
    use futures_util::stream::{self, StreamExt as _};
    use ppio::{ChatEvent, Error, InvocationRequest};

    pub(super) fn config() -> ppio::RuntimeConfig {
        crate::support::config().a2a_push_private(true)
    }

    #[ppio::entrypoint(config = config())]
    async fn agent(
        request: InvocationRequest,
    ) -> Result<impl futures_util::Stream<Item = ChatEvent>, Error> {
        let prompt = request.prompt.clone().unwrap_or_default();
        let events = match (request.resume.first(), prompt.as_str()) {
            (Some(_), _) => vec![ChatEvent::text("resumed")],
            (None, "fail") => return Err(Error::bad_request("as the prompt requested")),
            (None, "approve") => vec![ChatEvent::Interrupt {
                id: "i1".to_owned(),
                reason: "approval".to_owned(),
                message: Some("May I?".to_owned()),
                tool_call_id: None,
                response_schema: None,
            }],
            (None, "long") => vec![ChatEvent::text("a".repeat(1000)); 2000],
            (None, prompt) => vec![ChatEvent::text(prompt)],
        };
        let rest = if prompt == "hang" {
            stream::pending().boxed()
        } else {
            stream::empty().boxed()
        };
        Ok(stream::iter(events).chain(rest))
    }
}

async fn notifying() -> Agent {
    Agent::start_module(&format!("{}::notifying", module_path!())).await
}

/// Returns a message whose task is reported to a receiver.
fn message_with(text: &str, push: &Value) -> Value {
    let mut message = message(text);
    message["configuration"] = json!({"taskPushNotificationConfig": push});
    message
}

/// Returns the message of [`message_with`] with `returnImmediately`.
fn started_with(text: &str, push: &Value) -> Value {
    let mut message = message_with(text, push);
    message["configuration"]["returnImmediately"] = true.into();
    message
}

fn secrets(url: &str) -> Value {
    json!({
        "url": url,
        "token": "t-1",
        "authentication": {"scheme": "Bearer", "credentials": "s3cret"},
    })
}

const WORKING: &str = "TASK_STATE_WORKING";
const COMPLETED: &str = "TASK_STATE_COMPLETED";
const CANCELED: &str = "TASK_STATE_CANCELED";

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_gets_its_credentials_and_the_states_of_the_task() {
    let agent = notifying().await;
    let mut receiver = Receiver::start(&[]).await;
    let request = started_with("hang", &secrets(&receiver.url()));
    let task = result(&agent, "SendMessage", &request).await["task"].take();
    let begun = receiver.next().await;
    assert_eq!(begun.path, "/hook?a=b");
    assert_eq!(begun.header("x-a2a-notification-token"), Some("t-1"));
    assert_eq!(begun.header("authorization"), Some("Bearer s3cret"));
    assert_eq!(begun.header("content-type"), Some("application/a2a+json"));
    let host = receiver.address.to_string();
    assert_eq!(begun.header("host"), Some(&*host));
    assert_eq!(begun.state(), WORKING);
    assert_eq!(begun.body["task"]["id"], task["id"]);
    assert_eq!(begun.body["task"]["contextId"], task["contextId"]);

    result(&agent, "CancelTask", &json!({"id": task["id"]})).await;
    assert_eq!(receiver.states_until(CANCELED).await, [CANCELED]);

    // A blocking call, a stream and REST each send notifications that agree with their answer.
    for is_rest in [false, true] {
        for method in ["SendMessage", "SendStreamingMessage"] {
            let request = message_with("hello", &secrets(&receiver.url()));
            let answer = match (is_rest, method) {
                (true, "SendMessage") => agent.post("/a2a/message:send", &request).await,
                (true, _) => agent.post("/a2a/message:stream", &request).await,
                _ => agent.post("/a2a", &call(method, &request)).await,
            };
            assert_eq!(answer.status(), 200);
            let answer = answer.text().await;
            let ended = loop {
                let next = receiver.next().await;
                if next.state() == COMPLETED {
                    break next;
                }
            };
            let task = &ended.body["task"];
            assert!(answer.contains(task["id"].as_str().unwrap()), "{answer}");
            assert_eq!(task["artifacts"][0]["parts"][0]["text"], "hello");
        }
    }
    // An agent that fails before its answer begins.
    let request = message_with("fail", &json!({"url": receiver.url()}));
    let task = result(&agent, "SendMessage", &request).await["task"].take();
    assert_eq!(task["status"]["state"], "TASK_STATE_FAILED");
    receiver.states_until("TASK_STATE_FAILED").await;
    // A task that is too large to send.
    let request = message_with("long", &json!({"url": receiver.url()}));
    result(&agent, "SendMessage", &request).await;
    loop {
        let next = receiver.next().await;
        let update = &next.body["statusUpdate"];
        if update["status"]["state"] == COMPLETED {
            break;
        }
        assert_eq!(next.state(), WORKING);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn version_0_3_has_its_own_notification_format() {
    let agent = notifying().await;
    let mut receiver = Receiver::start(&[]).await;
    let push = json!({
        "url": receiver.url(),
        "token": "t-1",
        "authentication": {"schemes": ["Bearer"], "credentials": "s3cret"},
    });
    let request = json!({
        "message": {"kind": "message", "messageId": "m1", "role": "user",
                    "parts": [{"kind": "text", "text": "hang"}]},
        "configuration": {"blocking": false, "pushNotificationConfig": push},
    });
    let task = result(&agent, "message/send", &request).await;
    let begun = receiver.next().await;
    assert_eq!(begun.header("authorization"), Some("Bearer s3cret"));
    assert_eq!(begun.header("content-type"), Some("application/json"));
    assert_eq!(begun.body["kind"], "task");
    assert_eq!(begun.body["status"]["state"], "working");

    let method = |name: &str| format!("tasks/pushNotificationConfig/{name}");
    let id = json!({"id": task["id"]});
    let kept = result(&agent, &method("get"), &id).await;
    assert_eq!(kept["taskId"], task["id"]);
    // The secrets are write-only, so they are missing here.
    let readable = json!({
        "id": kept["pushNotificationConfig"]["id"],
        "url": receiver.url(),
        "authentication": {"schemes": ["Bearer"]},
    });
    assert_eq!(kept["pushNotificationConfig"], readable);
    let kept_id = kept["pushNotificationConfig"]["id"].clone();
    let other = json!({
        "taskId": task["id"],
        "pushNotificationConfig": {"id": "other", "url": receiver.url()},
    });
    let created = result(&agent, &method("set"), &other).await;
    assert_eq!(created, other);
    let listed = result(&agent, &method("list"), &id).await;
    assert_eq!(listed, json!([kept, created]));
    for kept in [&kept_id, &json!("other")] {
        let named = json!({"id": task["id"], "pushNotificationConfigId": kept});
        assert_eq!(result(&agent, &method("delete"), &named).await, Value::Null);
        assert_eq!(code(&agent, &method("get"), &named).await, -32001);
    }
    assert_eq!(result(&agent, &method("list"), &id).await, json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn configurations_are_created_read_and_deleted() {
    let agent = notifying().await;
    let mut receiver = Receiver::start(&[]).await;
    let mut request = message("hang");
    request["configuration"] = json!({"returnImmediately": true});
    let task = result(&agent, "SendMessage", &request).await["task"]["id"].take();
    let path = format!(
        "/a2a/tasks/{}/pushNotificationConfigs",
        task.as_str().unwrap()
    );

    let mut first = secrets(&receiver.url());
    first["taskId"] = task.clone();
    let created = result(&agent, "CreateTaskPushNotificationConfig", &first).await;
    assert_ne!(created["id"], Value::Null);
    // The secrets are write-only, so they are missing here.
    let first = json!({
        "id": created["id"],
        "taskId": task,
        "url": receiver.url(),
        "authentication": {"scheme": "Bearer"},
    });
    assert_eq!(created, first);
    let second = json!({"id": "a/b", "url": receiver.url()});
    let answer = agent.post(&path, &second).await;
    assert_eq!(answer.status(), 200);
    let second = json!({"id": "a/b", "url": receiver.url(), "taskId": task});
    assert_eq!(answer.json().await, second);

    let list = json!({"taskId": task});
    let listed = result(&agent, "ListTaskPushNotificationConfigs", &list).await;
    assert_eq!(
        listed,
        json!({"configs": [first, second], "nextPageToken": ""})
    );
    let in_rest = agent.send("GET", &path, &[], "").await.json().await;
    assert_eq!(in_rest, listed);
    let one = format!("{path}/a%2Fb");
    assert_eq!(agent.send("GET", &one, &[], "").await.json().await, second);
    let named = json!({"taskId": task, "id": "a/b"});
    let got = result(&agent, "GetTaskPushNotificationConfig", &named).await;
    assert_eq!(got, second);
    // A further configuration with the id `a/b` replaces the second one.
    let replaced = json!({"taskId": task, "id": "a/b", "url": receiver.url(), "token": "t-2"});
    result(&agent, "CreateTaskPushNotificationConfig", &replaced).await;

    // A second deletion changes nothing.
    for _ in 0..2 {
        let first = json!({"taskId": task, "id": first["id"]});
        let deleted = result(&agent, "DeleteTaskPushNotificationConfig", &first).await;
        assert_eq!(deleted, json!({}));
    }
    result(&agent, "CancelTask", &json!({"id": task})).await;
    let ended = receiver.next().await;
    assert_eq!(ended.header("x-a2a-notification-token"), Some("t-2"));
    assert_eq!(ended.state(), CANCELED);
    assert_eq!(agent.send("DELETE", &one, &[], "").await.status(), 200);
    assert_eq!(agent.send("GET", &one, &[], "").await.status(), 404);
    assert_eq!(agent.send("PUT", &one, &[], "").await.status(), 405);
    assert!(receiver.unread().is_empty(), "unexpected notifications");
}

#[tokio::test(flavor = "multi_thread")]
async fn notifications_continue_after_an_interrupt() {
    let agent = notifying().await;
    let mut receiver = Receiver::start(&[]).await;
    let request = message_with("approve", &json!({"url": receiver.url()}));
    let task = result(&agent, "SendMessage", &request).await["task"].take();
    receiver.states_until("TASK_STATE_INPUT_REQUIRED").await;
    // A caller that subscribes now receives `TASK_STATE_INPUT_REQUIRED`, after which the stream
    // ends.
    let id = json!({"id": task["id"]});
    let joined = agent.post("/a2a", &call("SubscribeToTask", &id)).await;
    let events = crate::support::events(&joined.text().await);
    let [(_, event)] = &events[..] else {
        panic!("{events:?}");
    };
    let event: Value = serde_json::from_str(event).unwrap();
    assert_eq!(event["result"]["task"]["status"], task["status"]);
    let mut answer = message("yes");
    answer["message"]["taskId"] = task["id"].clone();
    result(&agent, "SendMessage", &answer).await;
    receiver.states_until(COMPLETED).await;

    // A task whose interrupt will not be answered is cancelled.
    let request = message_with("approve", &json!({"url": receiver.url()}));
    let task = result(&agent, "SendMessage", &request).await["task"].take();
    let id = json!({"id": task["id"]});
    for method in ["CancelTask", "GetTask"] {
        let cancelled = result(&agent, method, &id).await;
        assert_eq!(cancelled["status"]["state"], CANCELED, "{method}");
    }
    receiver.states_until(CANCELED).await;
    assert_eq!(code(&agent, "CancelTask", &id).await, -32002);
    assert_eq!(code(&agent, "SubscribeToTask", &id).await, -32004);
    answer["message"]["taskId"] = task["id"].clone();
    assert_eq!(code(&agent, "SendMessage", &answer).await, -32004);
}

#[tokio::test(flavor = "multi_thread")]
async fn private_receivers_are_refused() {
    let agent = super::talking().await;
    let mut receiver = Receiver::start(&[]).await;
    let port = receiver.address.port();
    let mut request = message("hang");
    request["configuration"] = json!({"returnImmediately": true});
    let task = result(&agent, "SendMessage", &request).await["task"]["id"].take();
    for host in [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "0",
        "localhost",
        "LOCALHOST.",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "10.0.0.1",
        "192.168.0.1",
        "172.16.0.1",
        "169.254.169.254",
        "100.100.100.200",
        "[fd00::1]",
        "[fe80::1]",
    ] {
        let push = json!({"taskId": task, "url": format!("http://{host}:{port}/")});
        let create = "CreateTaskPushNotificationConfig";
        let answer = agent.post("/a2a", &call(create, &push)).await.json().await;
        assert_eq!(answer["error"]["code"], -32602, "{host}: {answer}");
        let request = message_with("hello", &push);
        assert_eq!(
            code(&agent, "SendMessage", &request).await,
            -32602,
            "{host}"
        );
    }
    result(&agent, "CancelTask", &json!({"id": task})).await;
    assert!(receiver.unread().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_configurations_are_refused() {
    let agent = notifying().await;
    let task = result(&agent, "SendMessage", &message("hello")).await["task"]["id"].take();
    let url = "https://example.com/";
    let long = "a".repeat(3000);
    let secret = "a".repeat(8 * 1024 + 1);
    for (mut config, code) in [
        (json!({}), -32602),
        (json!({"url": 5}), -32602),
        (json!({"url": ""}), -32602),
        (json!({"url": "example.com"}), -32602),
        (json!({"url": "ftp://example.com"}), -32602),
        (json!({"url": "file:///etc/passwd"}), -32602),
        (json!({"url": "https://a:b@example.com"}), -32602),
        (json!({"url": format!("{url}{long}")}), -32602),
        (json!({"url": url, "id": long}), -32602),
        (json!({"url": url, "token": "a\r\nb: c"}), -32602),
        (json!({"url": url, "token": secret}), -32602),
        (
            json!({"url": url, "authentication": {"scheme": "A", "credentials": secret}}),
            -32602,
        ),
        (
            json!({"url": url, "authentication": {"scheme": long}}),
            -32602,
        ),
        (json!({"url": url, "authentication": "Bearer"}), -32602),
        (
            json!({"url": url, "authentication": {"scheme": "A\r\nb:", "credentials": "c"}}),
            -32602,
        ),
        (json!({"url": url, "taskId": "none"}), -32001),
        (json!({"url": url, "taskId": ""}), -32602),
    ] {
        if config["taskId"].is_null() {
            config["taskId"] = task.clone();
        }
        let create = "CreateTaskPushNotificationConfig";
        assert_eq!(super::code(&agent, create, &config).await, code, "{config}");
    }
    for (method, params, code) in [
        (
            "GetTaskPushNotificationConfig",
            json!({"taskId": task}),
            -32602,
        ),
        (
            "GetTaskPushNotificationConfig",
            json!({"taskId": task, "id": "x"}),
            -32001,
        ),
        (
            "GetTaskPushNotificationConfig",
            json!({"taskId": "none", "id": "x"}),
            -32001,
        ),
        ("ListTaskPushNotificationConfigs", json!({}), -32602),
        (
            "ListTaskPushNotificationConfigs",
            json!({"taskId": "none"}),
            -32001,
        ),
        (
            "DeleteTaskPushNotificationConfig",
            json!({"taskId": "none", "id": "x"}),
            -32001,
        ),
        (
            "tasks/pushNotificationConfig/set",
            json!({"taskId": task}),
            -32602,
        ),
        (
            "tasks/pushNotificationConfig/get",
            json!({"id": task}),
            -32001,
        ),
    ] {
        assert_eq!(
            super::code(&agent, method, &params).await,
            code,
            "{method} {params}"
        );
    }
    // The task belongs to another caller.
    let create = call(
        "CreateTaskPushNotificationConfig",
        &json!({"taskId": task, "url": url}),
    );
    let other = [("authorization", "Bearer another")];
    let answer = agent
        .send("POST", "/a2a", &other, &create.to_string())
        .await;
    assert_eq!(answer.json().await["error"]["code"], -32001);
    // A task has at most ten configurations.
    for at in 0..11 {
        let config = json!({"taskId": task, "id": at.to_string(), "url": url});
        let create = call("CreateTaskPushNotificationConfig", &config);
        let answer = agent.post("/a2a", &create).await.json().await;
        assert_eq!(answer["error"].is_null(), at < 10, "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn notifications_are_retried_only_after_temporary_failures() {
    use Answer::{Close, Redirect, Status};
    let agent = notifying().await;
    let mut request = message("hang");
    request["configuration"] = json!({"returnImmediately": true});
    for (answers, attempts) in [
        (&[Status(500), Close][..], 3),
        (&[Status(429)], 2),
        (&[Redirect("/private")], 1),
        (&[Status(400)], 1),
        (&[Status(204)], 1),
    ] {
        let task = result(&agent, "SendMessage", &request).await["task"]["id"].take();
        let mut receiver = Receiver::start(answers).await;
        // Other receivers still get their notifications.
        let mut other = Receiver::start(&[]).await;
        for url in [receiver.url(), other.url()] {
            let push = json!({"taskId": task, "url": url});
            result(&agent, "CreateTaskPushNotificationConfig", &push).await;
        }
        result(&agent, "CancelTask", &json!({"id": task})).await;
        assert_eq!(other.next().await.state(), CANCELED);
        for _ in 0..attempts {
            let next = receiver.next().await;
            assert_eq!((next.path.as_str(), next.state()), ("/hook?a=b", CANCELED));
        }
        assert!(receiver.unread().is_empty(), "{answers:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_hangs_delays_no_task_and_no_other_receiver() {
    let agent = notifying().await;
    let mut hangs = Receiver::start(&[Answer::Hang; 8]).await;
    let mut receiver = Receiver::start(&[]).await;
    let mut request = message_with("hang", &json!({"url": hangs.url()}));
    request["configuration"]["returnImmediately"] = true.into();
    let waiting = result(&agent, "SendMessage", &request).await["task"]["id"].take();
    assert_eq!(hangs.next().await.state(), WORKING);
    let push = json!({"taskId": waiting, "url": receiver.url()});
    result(&agent, "CreateTaskPushNotificationConfig", &push).await;
    result(&agent, "CancelTask", &json!({"id": waiting})).await;
    assert_eq!(receiver.next().await.state(), CANCELED);
    let request = message_with("long", &json!({"url": hangs.url()}));
    let task = result(&agent, "SendMessage", &request).await["task"].take();
    assert_eq!(task["status"]["state"], COMPLETED);
}

/// Notifications for one receiver wait for each other, and do not delay those for other receivers.
#[tokio::test(flavor = "multi_thread")]
async fn many_unanswered_notifications_do_not_delay_other_receivers() {
    let agent = notifying().await;
    let hangs = Receiver::start(&[Answer::Hang; 500]).await;
    let mut receiver = Receiver::start(&[]).await;
    for _ in 0..100 {
        let request = message_with("hello", &json!({"url": hangs.url()}));
        result(&agent, "SendMessage", &request).await;
    }
    let request = message_with("hello", &json!({"url": receiver.url()}));
    result(&agent, "SendMessage", &request).await;
    receiver.states_until(COMPLETED).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn notifications_are_sent_after_the_caller_disconnects() {
    let (called, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let app = AgentRuntimeApp::builder()
        .entrypoint({
            let (called, go_on) = (Arc::clone(&called), Arc::clone(&go_on));
            move |_: ppio::InvocationRequest| {
                let (called, go_on) = (Arc::clone(&called), Arc::clone(&go_on));
                async move {
                    called.notify_one();
                    go_on.notified().await;
                    "done"
                }
            }
        })
        .config(config().a2a_push_private(true))
        .build()
        .unwrap();
    let agent = Agent::start(app).await;
    let mut receiver = Receiver::start(&[]).await;
    let body = message_with("x", &json!({"url": receiver.url()}));
    let body = call("SendMessage", &body).to_string();
    let mut stream = tokio::net::TcpStream::connect(agent.address).await.unwrap();
    let request = format!(
        "POST /a2a HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\ncontent-length: \
         {}\r\n\r\n{body}",
        agent.address,
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    called.notified().await;
    drop(stream);
    assert_eq!(receiver.next().await.state(), WORKING);
    go_on.notify_one();
    assert_eq!(receiver.states_until(COMPLETED).await, [COMPLETED]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_sends_notifications_within_its_grace_period() {
    // One run ends during the shutdown, and the other when the grace period ends.
    for (prompt, grace, state) in [("slow 3 200", "30", COMPLETED), ("hang", "0.2", CANCELED)] {
        let mut program = std::process::Command::new(env!("CARGO_BIN_EXE_protocol-agent"));
        program
            .env("PPIO_AGENT_A2A_PUSH_PRIVATE", "true")
            .env("PPIO_AGENT_SHUTDOWN_GRACE", grace);
        let mut process = AgentProcess::command(program).start();
        let mut receiver = Receiver::start(&[]).await;
        let mut hangs = Receiver::start(&[Answer::Hang; 8]).await;
        let json = [("content-type", "application/json")];
        let urls = if prompt == "hang" {
            vec![receiver.url(), hangs.url()]
        } else {
            vec![receiver.url()]
        };
        for url in urls {
            let body = call("SendMessage", &started_with(prompt, &json!({"url": url})));
            let body = body.to_string();
            let post = ppio_test_support::call::send(&process, "POST", "/a2a", &json, body);
            assert_eq!(post.await.status(), 200);
        }
        assert_eq!(receiver.next().await.state(), WORKING);
        process.terminate();
        assert_eq!(receiver.states_until(state).await, [state]);
        assert!(process.wait(DEADLINE).success(), "{prompt}");
        if prompt == "hang" {
            assert_eq!(hangs.next().await.state(), WORKING);
        }
    }
}
