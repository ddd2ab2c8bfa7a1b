//! Faults of the network and the platform during a call, and the outcome of the call.

use std::time::{Duration, Instant};

use ppio_agent_client::{
    AgentRuntimeClient, ClientConfig, Error, NetworkErrorKind, SandboxSession,
};
use ppio_test_support::free_port;
use ppio_test_support::scripted_platform::{Reply, ScriptedPlatform};
use serde_json::json;

use crate::clients::{client_of, client_with};

const INVOKE: &str = "agent POST /invocations";

/// The time that a busy machine may add. Without its time limit, no call that is tested here would
/// end within this time.
const SLACK: Duration = Duration::from_secs(10);

/// A session that opens a new connection for every call.
async fn fresh_connections(platform: &ScriptedPlatform) -> SandboxSession {
    let config = ClientConfig {
        max_keepalive_connections: 0,
        ..ClientConfig::default()
    };
    client_with(platform, config)
        .create_session("tmpl_1")
        .await
        .expect("set up")
}

fn kind(error: &Error) -> Option<NetworkErrorKind> {
    match error {
        Error::Network { source, .. } => Some(source.kind()),
        _ => None,
    }
}

/// Returns a client of a port on which nothing listens.
fn client_of_closed_port(config: ClientConfig) -> AgentRuntimeClient {
    let port = free_port();
    let config = ClientConfig {
        base_url: Some(format!("http://127.0.0.1:{port}")),
        retry_delay: Duration::from_millis(1),
        ..config
    };
    AgentRuntimeClient::builder()
        .api_key("k")
        .config(config)
        .build()
        .expect("set up")
}

#[tokio::test]
async fn a_refused_connection_is_a_network_error_of_an_unsent_request() {
    let client = client_of_closed_port(ClientConfig::default());
    let error = client.list_sessions().await.unwrap_err();
    assert_eq!(kind(&error), Some(NetworkErrorKind::Connect), "{error}");
    assert!(error.is_retryable());
    assert!(std::error::Error::source(&error).is_some());
    let error = client.create_session("tmpl_1").await.unwrap_err();
    assert!(
        matches!(
            &error,
            Error::SandboxCreation {
                sandbox_id: None,
                ..
            }
        ),
        "{error}"
    );
}

#[tokio::test]
async fn a_reset_before_anything_is_read_is_repeated_where_that_is_safe() {
    let platform = ScriptedPlatform::start().await;
    platform.reset_connections(2);
    let client = client_of(&platform);
    assert!(client.list_sessions().await.unwrap().is_empty());
    assert_eq!(platform.connections(), 3);
    assert_eq!(platform.count("GET /v2/sandboxes"), 1);
}

/// Whatever happens to the connection, the agent receives an invocation once.
#[tokio::test]
async fn an_invocation_that_may_have_arrived_is_never_sent_twice() {
    let endings = [
        Reply::nothing().reset(),
        Reply::nothing().close(),
        Reply::raw("HTTP/1.1 200 OK\r\ncontent-le").reset(),
        Reply::raw("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"result\"").reset(),
        Reply::raw(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{",
        )
        .close(),
        Reply::chunked("application/json")
            .chunk("{\"result\"")
            .close(),
        Reply::raw("not http at all\r\n\r\n").close(),
        Reply::error(429, "slow down"),
        Reply::error(500, "fell over"),
        Reply::error(502, "connection refused"),
        Reply::error(503, "draining"),
        Reply::error(504, "too slow"),
    ];
    let platform = ScriptedPlatform::start().await;
    let fresh = fresh_connections(&platform).await;
    let pooled = client_of(&platform).create_session("tmpl_1").await.unwrap();
    let mut received = 0;
    for ending in endings {
        for session in [&fresh, &pooled] {
            let script = format!("{ending:?}");
            platform.script(INVOKE, ending.clone());
            session.invoke("hi").await.expect_err(&script);
            received += 1;
            assert_eq!(platform.count(INVOKE), received, "{script}");
        }
    }
}

#[tokio::test]
async fn an_invocation_is_not_sent_again_after_a_reset() {
    let platform = ScriptedPlatform::start().await;
    let session = fresh_connections(&platform).await;
    let connections = platform.connections();
    platform.reset_connections(1);
    let error = session.invoke("hi").await.unwrap_err();
    // The bytes were written; only the server could report that they were not read.
    assert_eq!(kind(&error), Some(NetworkErrorKind::Interrupted), "{error}");
    assert!(!error.is_retryable());
    assert_eq!(
        (platform.connections(), platform.count(INVOKE)),
        (connections + 1, 0)
    );
}

#[tokio::test]
async fn a_closed_idle_connection_does_not_fail_an_invocation() {
    let platform = ScriptedPlatform::start().await;
    let session = client_of(&platform).create_session("tmpl_1").await.unwrap();
    for _ in 0..20 {
        let ok = json!({"result": 1, "status": "success", "duration": 0}).to_string();
        let reply = Reply::body(200, "application/json", &ok).close();
        platform.script(INVOKE, reply);
        let closed =
            |platform: &ScriptedPlatform| platform.connections() - platform.open_connections();
        let before = closed(&platform);
        session.invoke("hi").await.unwrap();
        platform
            .eventually("the close", |platform| closed(platform) > before)
            .await;
    }
    assert_eq!(platform.count(INVOKE), 20);
}

#[tokio::test]
async fn a_reset_in_the_middle_of_a_body_is_repeated_where_that_is_safe() {
    let platform = ScriptedPlatform::start().await;
    let client = client_of(&platform);
    platform.script(
        "GET /v2/sandboxes",
        Reply::raw("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n[{").reset(),
    );
    assert!(client.list_sessions().await.unwrap().is_empty());
    assert_eq!(platform.count("GET /v2/sandboxes"), 2);

    let session = client.create_session("tmpl_1").await.unwrap();
    platform.script(
        INVOKE,
        Reply::raw("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{").reset(),
    );
    let error = session.invoke("hi").await.unwrap_err();
    assert_eq!(kind(&error), Some(NetworkErrorKind::Cut), "{error}");
}

#[tokio::test]
async fn rate_limits_are_waited_for_within_the_deadline() {
    let platform = ScriptedPlatform::start().await;
    let client = client_of(&platform);
    let limited = |after: &str| {
        let headers = [("retry-after", after), ("content-type", "application/json")];
        Reply::with_headers(429, &headers, r#"{"code":429,"message":"slow down"}"#)
    };
    platform.script("GET /v2/sandboxes", limited("1"));
    let started = Instant::now();
    client.list_sessions().await.unwrap();
    assert!(started.elapsed() >= Duration::from_secs(1));

    platform.script("GET /v2/sandboxes", Reply::error(429, "slow down"));
    client.list_sessions().await.unwrap();

    // A session is created only once the platform accepts the request.
    platform.script("POST /sandboxes", Reply::error(429, "slow down"));
    platform.script("POST /sandboxes", Reply::error(503, "in a moment"));
    drop(client.create_session("tmpl_1").await.unwrap());
    assert_eq!(platform.count("POST /sandboxes"), 3);

    // If the pause is longer than the call may take, the error is returned immediately, with the
    // pause.
    platform.script("POST /sandboxes", limited("3600"));
    let started = Instant::now();
    let error = client.create_session("tmpl_1").await.unwrap_err();
    match error.root() {
        Error::RateLimit {
            message,
            retry_after,
        } => {
            assert_eq!(
                (message.as_str(), *retry_after),
                ("slow down", Some(Duration::from_secs(3600)))
            );
        }
        other => panic!("{other}"),
    }
    assert!(started.elapsed() < SLACK);

    platform.always("GET /v2/sandboxes", Reply::error(429, "slow down"));
    let error = client.list_sessions().await.unwrap_err();
    assert!(matches!(
        error,
        Error::RateLimit {
            retry_after: None,
            ..
        }
    ));
    assert!(error.is_retryable());
}

#[tokio::test]
async fn a_rate_limit_may_name_a_date() {
    let platform = ScriptedPlatform::start().await;
    let client = client_of(&platform);
    // Dates count in whole seconds, so this date is between one and two seconds away.
    let then = std::time::SystemTime::now() + Duration::from_secs(2);
    let date = httpdate::fmt_http_date(then);
    let headers = [("retry-after", date.as_str())];
    platform.script("GET /v2/sandboxes", Reply::with_headers(429, &headers, ""));
    let started = Instant::now();
    client.list_sessions().await.unwrap();
    assert!(started.elapsed() >= Duration::from_millis(900), "{date}");
    // A date in the past causes no wait.
    let headers = [("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT")];
    platform.script("GET /v2/sandboxes", Reply::with_headers(429, &headers, ""));
    client.list_sessions().await.unwrap();
    // A number beyond the range of the clock is longer than the call may take.
    let headers = [("retry-after", "18446744073709551615")];
    platform.script("GET /v2/sandboxes", Reply::with_headers(429, &headers, ""));
    let error = client.list_sessions().await.unwrap_err();
    assert!(matches!(error, Error::RateLimit { .. }), "{error}");
}

/// Many concurrent invocations, over connections that break in every way at any time: each
/// invocation is received at most once.
#[tokio::test(flavor = "multi_thread")]
async fn concurrent_invocations_over_broken_connections_arrive_at_most_once() {
    const ASKED: usize = 300;
    let platform = ScriptedPlatform::start().await;
    let client = client_of(&platform);
    let session = client.create_session("tmpl_1").await.unwrap();
    let ok = json!({"result": 1, "status": "success", "duration": 0}).to_string();
    let cut = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{";
    for round in 0..ASKED {
        platform.script(
            INVOKE,
            match round % 6 {
                // After the response, the server ends a connection that the next call may use.
                0 => Reply::body(200, "application/json", &ok).close(),
                1 => Reply::body(200, "application/json", &ok).reset(),
                2 => Reply::nothing().reset(),
                3 => Reply::raw(cut).reset(),
                4 => Reply::error(503, "draining").close(),
                _ => Reply::body(200, "application/json", &ok),
            },
        );
    }
    let mut asking = tokio::task::JoinSet::new();
    for number in 0..ASKED {
        if number % 20 == 0 {
            platform.reset_connections(2);
        }
        let session = session.clone();
        asking.spawn(async move { session.invoke(json!({ "number": number })).await.is_ok() });
        if number % 8 == 7 {
            asking.join_next().await;
        }
    }
    asking.join_all().await;
    let mut received = std::collections::HashMap::new();
    for request in platform.requests(INVOKE) {
        let number = request.json()["number"].as_u64().expect("a number");
        *received.entry(number).or_insert(0) += 1;
    }
    assert!(
        received.len() > ASKED / 2,
        "most were received: {}",
        received.len()
    );
    let twice: Vec<_> = received.iter().filter(|(_, times)| **times > 1).collect();
    assert!(twice.is_empty(), "received more than once: {twice:?}");
}

#[tokio::test]
async fn temporary_failures_are_retried_and_lasting_ones_returned() {
    let platform = ScriptedPlatform::start().await;
    let client = client_of(&platform);
    for status in [500, 502, 503, 504] {
        let before = platform.count("GET /v2/sandboxes");
        platform.script("GET /v2/sandboxes", Reply::error(status, "wait"));
        client.list_sessions().await.unwrap();
        assert_eq!(platform.count("GET /v2/sandboxes"), before + 2, "{status}");
    }
    platform.always("GET /v2/sandboxes", Reply::error(500, "out of order"));
    let before = platform.count("GET /v2/sandboxes");
    let error = client.list_sessions().await.unwrap_err();
    assert_eq!(
        error.report().to_string(),
        "list sandboxes: out of order (HTTP 500)"
    );
    assert_eq!((error.code(), error.status()), ("runtime", Some(500)));
    assert_eq!(
        platform.count("GET /v2/sandboxes"),
        before + 4,
        "once, and three retries"
    );
}

#[tokio::test]
async fn one_deadline_covers_all_attempts() {
    let platform = ScriptedPlatform::start().await;
    let limit = Duration::from_millis(300);
    let config = ClientConfig {
        timeout: limit,
        max_retries: 1000,
        ..ClientConfig::default()
    };
    let client = client_with(&platform, config);
    let slow_failure = Reply::error(500, "no").after(Duration::from_millis(100));
    platform.always("GET /v2/sandboxes", slow_failure);
    let started = Instant::now();
    client.list_sessions().await.unwrap_err();
    assert!(started.elapsed() < limit + SLACK, "{:?}", started.elapsed());
    assert!(platform.count("GET /v2/sandboxes") >= 2);
}

#[tokio::test]
async fn a_stalled_response_times_out_at_any_point() {
    let platform = ScriptedPlatform::start().await;
    let limit = Duration::from_millis(200);
    let session = client_of(&platform).create_session("tmpl_1").await.unwrap();
    let stalls = [
        Reply::nothing().hang(),
        Reply::raw("HTTP/1.1 200 OK\r\n").hang(),
        Reply::raw("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{").hang(),
        Reply::chunked("application/json").chunk("{").hang(),
        Reply::raw("HTTP/1.1 500 Oh\r\ncontent-length: 9\r\n\r\n{").hang(),
    ];
    for stall in stalls {
        let script = format!("{stall:?}");
        platform.script(INVOKE, stall);
        let started = Instant::now();
        let error = session.invoke("hi").timeout(limit).await.unwrap_err();
        let within = started.elapsed();
        assert!(within >= limit && within < limit + SLACK, "{within:?}");
        match error {
            Error::Timeout { limit: found, .. } => assert_eq!(found, limit),
            // The status alone is enough for the error.
            Error::Invocation {
                status: Some(500), ..
            } => {}
            other => panic!("{other} for {script}"),
        }
    }
    platform
        .eventually("the connections are closed", |platform| {
            platform.open_connections() <= 2
        })
        .await;
}

#[tokio::test]
async fn a_malformed_response_is_a_protocol_error() {
    let platform = ScriptedPlatform::start().await;
    let session = client_of(&platform).create_session("tmpl_1").await.unwrap();
    platform.script(
        INVOKE,
        Reply::body(200, "text/html", "<html>welcome</html>"),
    );
    let error = session.invoke("hi").await.unwrap_err();
    assert!(matches!(error, Error::Protocol { .. }));
    assert!(error.report().to_string().contains("text/html"), "{error}");
    platform.script(INVOKE, Reply::body(200, "application/json", "{\"result\""));
    let error = session.invoke("hi").await.unwrap_err();
    assert!(matches!(error, Error::Protocol { .. }), "{error}");
    platform.script("GET /templates", Reply::body(200, "text/html", "<html>"));
    let error = session.ping().await;
    assert!(error.is_ok());
    let client = client_of(&platform);
    let error = client.list_templates().await.unwrap_err();
    assert!(matches!(error, Error::Protocol { .. }), "{error}");
}

#[tokio::test]
async fn each_rejection_of_the_platform_has_its_own_error() {
    let platform = ScriptedPlatform::start().await;
    let client = client_of(&platform);
    platform.script("POST /sandboxes", Reply::error(401, "unknown key"));
    let error = client.create_session("tmpl_1").await.unwrap_err();
    assert!(
        matches!(
            error.root(),
            Error::Authentication {
                status: Some(401),
                ..
            }
        ),
        "{error}"
    );

    platform.script(
        "POST /sandboxes",
        Reply::error(403, "20 sandboxes are the limit"),
    );
    let error = client.create_session("tmpl_1").await.unwrap_err();
    assert!(
        matches!(error.root(), Error::QuotaExceeded { message } if message.contains("20")),
        "{error}"
    );

    let error = client.create_session("tmpl_9").await.unwrap_err();
    let root = error.root();
    assert!(matches!(root, Error::TemplateNotFound { template, .. } if template == "tmpl_9"));

    let error = client.platform().get_sandbox("sb_9").await.unwrap_err();
    assert!(matches!(&error, Error::SessionNotFound { sandbox_id, .. } if sandbox_id == "sb_9"));

    let session = client.create_session("tmpl_1").await.unwrap();
    platform.always(
        "POST /sandboxes/{id}/pause",
        Reply::error(501, "cannot snapshot"),
    );
    let error = session.pause().await.unwrap_err();
    assert!(matches!(&error, Error::SandboxOperation { operation, .. } if operation == "pause"));
    assert_eq!(error.status(), Some(501));

    let error = client.create_session("").await.unwrap_err();
    assert!(matches!(&error, Error::Validation { field, .. } if field == "template_id"));
    let error = client
        .create_session("t")
        .timeout(Duration::ZERO)
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Validation { .. }));
}

#[tokio::test]
async fn a_missing_key_is_an_error_before_any_request() {
    let error = AgentRuntimeClient::builder()
        .api_key("")
        .build()
        .unwrap_err();
    assert!(matches!(error, Error::Authentication { status: None, .. }));
}

#[tokio::test]
async fn an_invocation_error_has_the_text_of_the_agent() {
    let platform = ScriptedPlatform::start().await;
    let session = client_of(&platform).create_session("tmpl_1").await.unwrap();
    let failure = json!({
        "result": null, "status": "error", "duration": 0.1, "error": "no such city",
        "error_type": "KeyError", "metadata": {"request_id": "r-1"},
    });
    for status in [200, 422, 500] {
        platform.script(INVOKE, Reply::json(status, &failure));
        let error = session.invoke("hi").await.unwrap_err();
        match error {
            Error::Invocation {
                status: Some(found),
                error_type,
                message,
                request_id,
                ..
            } => {
                assert_eq!(found, status);
                assert_eq!(error_type.as_deref(), Some("KeyError"));
                assert_eq!(message, "no such city");
                assert_eq!(request_id.as_deref(), Some("r-1"));
            }
            other => panic!("{other}"),
        }
    }
    platform.script(
        INVOKE,
        Reply::json(400, &json!({"error": "Invalid JSON: x"})),
    );
    let error = session.invoke("hi").await.unwrap_err();
    assert_eq!(
        error.report().to_string(),
        "the agent failed: Invalid JSON: x (HTTP 400)"
    );
    platform.script(INVOKE, Reply::error(503, "draining"));
    assert!(session.invoke("hi").await.unwrap_err().is_retryable());
}

#[tokio::test]
async fn a_502_of_a_sandbox_that_expired_is_a_session_not_found() {
    let platform = ScriptedPlatform::start().await;
    let session = client_of(&platform).create_session("tmpl_1").await.unwrap();
    platform.expire(session.sandbox_id());
    let error = session.invoke("hi").await.unwrap_err();
    assert!(matches!(error, Error::SessionNotFound { .. }), "{error}");
    let connections = platform.connections();
    session.refresh().await.unwrap_err();
    assert_eq!(
        platform.connections(),
        connections,
        "a session known to be gone sends no request"
    );
}
