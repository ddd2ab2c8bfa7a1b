//! Requests that are sent again because they have an idempotency key that the server honours.

use ppio_agent_client::{ClientConfig, Error, SandboxSession};
use ppio_test_support::scripted_platform::{Recorded, Reply, ScriptedPlatform};
use serde_json::json;

use crate::clients::{client_of, client_with};

const INVOKE: &str = "agent POST /invocations";
const PING: &str = "agent GET /ping";
const JSON: (&str, &str) = ("content-type", "application/json");
const SUPPORTED: (&str, &str) = ("ppio-idempotency", "supported");

/// Makes the agents of the platform honour idempotency keys.
pub(crate) fn honour_keys(platform: &ScriptedPlatform) {
    let ping = json!({"status": "Healthy"}).to_string();
    platform.always(PING, Reply::with_headers(200, &[JSON, SUPPORTED], &ping));
}

async fn session(platform: &ScriptedPlatform) -> SandboxSession {
    client_of(platform).create_session("tmpl_1").await.unwrap()
}

/// Returns a reply for each way in which the answer to a request can get lost.
fn endings() -> Vec<Reply> {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n";
    vec![
        Reply::nothing().reset(),
        Reply::nothing().close(),
        Reply::raw("HTTP/1.1 200 OK\r\ncontent-le").reset(),
        Reply::raw(format!("{head}{{\"result\"")).reset(),
        Reply::raw(format!("{head}{{")).close(),
        Reply::chunked("application/json")
            .chunk("{\"result\"")
            .close(),
        Reply::error(502, "the connection to the agent broke"),
        Reply::error(503, "in a moment"),
        Reply::error(504, "no answer of the agent"),
    ]
}

fn keys(requests: &[Recorded]) -> Vec<&str> {
    let keys = requests
        .iter()
        .map(|request| request.header("idempotency-key"));
    keys.collect()
}

#[tokio::test]
async fn a_lost_invocation_is_sent_again_where_the_agent_honours_keys() {
    let platform = ScriptedPlatform::start().await;
    honour_keys(&platform);
    let session = session(&platform).await;
    let mut seen = Vec::new();
    for (number, ending) in endings().into_iter().enumerate() {
        let script = format!("{ending:?}");
        platform.script(INVOKE, ending.clone());
        platform.script(INVOKE, ending);
        let answer = session.invoke(json!({ "number": number })).await;
        let answer = answer.unwrap_or_else(|error| panic!("{script}: {}", error.report()));
        assert_eq!(answer.result, Some(json!({ "number": number })), "{script}");

        let requests = platform.requests(INVOKE).split_off(seen.len() * 3);
        assert_eq!(requests.len(), 3, "{script}");
        let key = keys(&requests)[0].to_owned();
        assert!(!key.is_empty() && !seen.contains(&key), "{key:?}");
        for request in &requests {
            assert_eq!(request.header("idempotency-key"), key);
            assert_eq!(request.body, requests[0].body);
            assert_eq!(
                request.header("x-request-id"),
                requests[0].header("x-request-id")
            );
        }
        seen.push(key);
    }
}

#[tokio::test]
async fn a_lost_answer_of_any_other_agent_is_an_error() {
    let platform = ScriptedPlatform::start().await;
    let session = session(&platform).await;
    for (number, ending) in endings().into_iter().enumerate() {
        let script = format!("{ending:?}");
        platform.script(INVOKE, ending);
        session.invoke("hi").await.expect_err(&script);
        assert_eq!(platform.count(INVOKE), number + 1, "{script}");
    }
    // The ping has shown that the agent does not honour keys; a later response of the agent with
    // the `ppio-idempotency` header changes this.
    platform.script(INVOKE, Reply::with_headers(200, &[JSON, SUPPORTED], "1"));
    session.invoke("hi").await.unwrap();
    // A request whose answer is lost is now sent again.
    let before = platform.count(INVOKE);
    platform.script(INVOKE, Reply::nothing().reset());
    session.invoke("hi").await.unwrap();
    assert_eq!(platform.count(INVOKE), before + 2);
}

#[tokio::test]
async fn an_answer_of_the_agent_is_final() {
    let platform = ScriptedPlatform::start().await;
    honour_keys(&platform);
    let session = session(&platform).await;
    for (number, status) in [429, 500, 502, 503, 504].into_iter().enumerate() {
        let body = json!({"error": "no model"}).to_string();
        let reply = Reply::with_headers(status, &[JSON, SUPPORTED], &body);
        platform.script(INVOKE, reply);
        let error = session.invoke("hi").await.unwrap_err();
        assert_eq!(error.status(), Some(status), "{error}");
        assert_eq!(platform.count(INVOKE), number + 1, "{status}");
    }
}

#[tokio::test]
async fn the_agent_of_an_existing_sandbox_is_pinged_once() {
    for supports in [true, false] {
        let platform = ScriptedPlatform::start().await;
        if supports {
            honour_keys(&platform);
        }
        platform.add_sandbox("sb_1", "tmpl_1");
        let client = client_of(&platform);
        let session = client.get_session("sb_1").await.unwrap().unwrap();
        for round in 1..=2 {
            platform.script(INVOKE, Reply::nothing().reset());
            let answer = session.invoke("hi").await;
            assert_eq!(answer.is_ok(), supports);
            let sent = if supports { 2 * round } else { round };
            assert_eq!(platform.count(INVOKE), sent);
            assert_eq!(platform.count(PING), 1, "one ping is enough");
        }
    }
}

/// A reply from the agent instance `id`.
fn of_instance(status: u16, id: &str, body: &serde_json::Value) -> Reply {
    let instance = ("ppio-instance", id);
    Reply::with_headers(status, &[JSON, SUPPORTED, instance], &body.to_string())
}

/// Only a request that is sent again names the agent instance that it was first sent to, even if a
/// later answer comes from another instance.
#[tokio::test]
async fn a_retry_names_the_agent_that_may_have_run_it() {
    let platform = ScriptedPlatform::start().await;
    let healthy = json!({"status": "Healthy"});
    let instances = || {
        let requests = platform.requests(INVOKE);
        let sent = requests
            .iter()
            .map(|request| request.headers.get("ppio-instance").cloned());
        sent.collect::<Vec<_>>()
    };
    platform.always(PING, of_instance(200, "a", &healthy));
    let session = session(&platform).await;
    for ending in endings() {
        platform.script(INVOKE, ending.clone());
        platform.script(INVOKE, ending);
        session.invoke("hi").await.unwrap();
    }
    let count = endings().len();
    let a = || Some("a".to_owned());
    assert_eq!(instances(), vec![[None, a(), a()]; count].concat());

    // An answer names another instance; the retries of the next invocation name that instance.
    platform.script(INVOKE, of_instance(200, "b", &json!(1)));
    session.invoke("hi").await.unwrap();
    platform.script(INVOKE, Reply::nothing().reset());
    let restarted =
        json!({"error": "it is unknown", "error_type": "AgentRestarted", "status": "error"});
    platform.script(INVOKE, of_instance(409, "c", &restarted));
    let error = session.invoke("hi").await.unwrap_err();
    assert!(error.is_agent_restarted(), "{error}");
    assert!(!error.is_retryable());
    assert!(error.to_string().contains("it is unknown"), "{error}");
    let b = Some("b".to_owned());
    assert_eq!(instances()[count * 3..], [None, None, b]);
    platform.script(INVOKE, Reply::nothing().reset());
    session.invoke("hi").await.unwrap();
    assert_eq!(instances().last().unwrap().as_deref(), Some("c"));

    // A client that has received no answer yet cannot name the instance: the ping after the break
    // is too late.
    platform.add_sandbox("sb_1", "tmpl_1");
    let found = client_of(&platform).get_session("sb_1").await.unwrap();
    platform.script(INVOKE, Reply::nothing().reset());
    found.unwrap().invoke("hi").await.unwrap();
    assert_eq!(instances().last().unwrap().as_deref(), Some("unknown"));
}

#[tokio::test]
async fn retries_end_with_the_attempts_and_the_last_failure() {
    let platform = ScriptedPlatform::start().await;
    honour_keys(&platform);
    for max_retries in [0, 2] {
        let config = ClientConfig {
            max_retries,
            ..ClientConfig::default()
        };
        let client = client_with(&platform, config);
        let session = client.create_session("tmpl_1").await.unwrap();
        let before = platform.count(INVOKE);
        for _ in 0..=max_retries {
            platform.script(INVOKE, Reply::nothing().reset());
        }
        let error = session.invoke("hi").await.unwrap_err();
        assert!(matches!(error, Error::Network { .. }), "{error}");
        assert_eq!(platform.count(INVOKE) - before, max_retries as usize + 1);
    }
}

#[tokio::test]
async fn an_invocation_of_a_paused_session_is_not_retried() {
    let platform = ScriptedPlatform::start().await;
    honour_keys(&platform);
    let session = session(&platform).await;
    session.pause().await.unwrap();
    let error = session.invoke("hi").await.unwrap_err();
    assert!(error.report().to_string().contains("resume()"), "{error}");
    assert_eq!(platform.count(INVOKE), 1);
}

#[tokio::test]
async fn a_key_of_the_caller_is_sent_instead() {
    let platform = ScriptedPlatform::start().await;
    honour_keys(&platform);
    let session = session(&platform).await;
    platform.script(INVOKE, Reply::nothing().reset());
    let call = session.invoke("hi").header("Idempotency-Key", "order-42");
    call.await.unwrap();
    assert_eq!(
        keys(&platform.requests(INVOKE)),
        ["order-42", "order-42"],
        "with one header each"
    );
}

#[tokio::test]
async fn an_invocation_that_is_dropped_or_too_slow_is_cancelled() {
    let platform = ScriptedPlatform::start().await;
    honour_keys(&platform);
    let client = client_of(&platform);
    let session = client.create_session("tmpl_1").await.unwrap();
    let sent = || {
        let last = platform.requests(INVOKE).pop().unwrap();
        last.header("x-request-id").to_owned()
    };
    let cancelled = async |what: &str| {
        let route = format!("agent DELETE /invocations/{}", sent());
        platform
            .eventually(what, |platform| platform.count(&route) == 1)
            .await;
    };

    platform.script(INVOKE, Reply::nothing().hang());
    let invoking = tokio::spawn(session.invoke("hi").into_future());
    platform
        .eventually("the invocation", |platform| platform.count(INVOKE) == 1)
        .await;
    invoking.abort();
    cancelled("a dropped call").await;

    platform.script(INVOKE, Reply::events().chunk("data: 1\n\n").hang());
    let mut stream = session.invoke("hi").stream().await.unwrap();
    stream.next().await.unwrap().unwrap();
    drop(stream);
    cancelled("a dropped stream").await;

    platform.script(INVOKE, Reply::nothing().hang());
    let slow = session.invoke("hi");
    let error = slow
        .timeout(std::time::Duration::from_millis(50))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }), "{error}");
    cancelled("a call that took too long").await;

    // Runs that have ended, that other calls may share, or that are meant to continue are not
    // cancelled.
    session.invoke("hi").await.unwrap();
    platform.script(INVOKE, Reply::events().chunk("data: 1\n\n").end());
    let mut stream = session.invoke("hi").stream().await.unwrap();
    while stream.next().await.is_some() {}
    drop(stream);
    for (name, value) in [
        ("idempotency-key", "shared"),
        ("ppio-on-disconnect", "continue"),
    ] {
        platform.script(INVOKE, Reply::events().chunk("data: 1\n\n").hang());
        let call = session.invoke("hi").header(name, value);
        drop(call.stream().await.unwrap());
    }
    platform.script(INVOKE, Reply::events().chunk("data: 1\n\n").hang());
    let call = session.invoke("hi").request_id("mine");
    drop(call.output().await.unwrap());
    client.close().await.unwrap();
    for request in &platform.requests(INVOKE)[3..] {
        let id = request.header("x-request-id");
        assert_eq!(
            platform.count(&format!("agent DELETE /invocations/{id}")),
            0
        );
    }
}

#[tokio::test]
async fn a_lost_creation_is_sent_again_where_the_platform_honours_keys() {
    for ending in endings() {
        let platform = ScriptedPlatform::start().await;
        let templates = json!([]).to_string();
        let templates = Reply::with_headers(200, &[JSON, SUPPORTED], &templates);
        platform.always("GET /templates", templates);
        let client = client_of(&platform);
        let script = format!("{ending:?}");
        // The second answer is about the sandbox that the first request has created.
        let made = json!({"sandboxID": "sb1", "templateID": "tmpl_1", "domain": platform.domain()});
        platform.script("POST /sandboxes", ending.with_effect());
        platform.script("POST /sandboxes", Reply::json(201, &made));
        let session = client.create_session("tmpl_1").await;
        let session = session.unwrap_or_else(|error| panic!("{script}: {}", error.report()));
        assert_eq!(session.sandbox_id(), "sb1");
        let requests = platform.requests("POST /sandboxes");
        let keys = keys(&requests);
        assert_eq!(keys.len(), 2, "{script}");
        assert!(!keys[0].is_empty() && keys[0] == keys[1], "{keys:?}");
        assert_eq!(
            platform.count("GET /v2/sandboxes"),
            0,
            "no lookup is needed"
        );
        // A lost creation of a sandbox without a session is also sent again, as soon as any
        // response has announced support for keys.
        let new = ppio_agent_client::platform::NewSandbox::new(
            "tmpl_1",
            std::time::Duration::from_secs(60),
        );
        platform.script("POST /sandboxes", Reply::nothing().reset());
        client.platform().create_sandbox(&new).await.unwrap();
        let requests = platform.requests("POST /sandboxes");
        assert_eq!(requests.len(), 4);
        let [.., before, again] = &requests[..] else {
            panic!("four requests");
        };
        let key = |request: &Recorded| request.header("idempotency-key").to_owned();
        assert_eq!(key(before), key(again));
        assert_ne!(key(before), keys[0]);
    }
}
