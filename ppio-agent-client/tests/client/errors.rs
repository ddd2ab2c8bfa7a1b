//! Every variant of the error enum, from responses on a socket, with what its methods return.

use std::collections::BTreeSet;
use std::error::Error as _;
use std::future::IntoFuture as _;
use std::time::Duration;

use ppio_agent_client::{AgentRuntimeClient, ClientConfig, Error, SandboxSession};
use ppio_test_support::scripted_platform::{Reply, ScriptedPlatform};

use crate::clients::client_with;

const INVOKE: &str = "agent POST /invocations";

/// The expected properties of an error.
struct Expected {
    code: &'static str,
    status: Option<u16>,
    retryable: bool,
    has_source: bool,
    text: &'static str,
}

fn check(error: &Error, expected: &Expected) -> &'static str {
    let text = error.report().to_string();
    assert_eq!(error.code(), expected.code, "{text}");
    assert_eq!(error.status(), expected.status, "{text}");
    assert_eq!(error.is_retryable(), expected.retryable, "{text}");
    assert_eq!(error.source().is_some(), expected.has_source, "{text}");
    assert!(text.starts_with(expected.text), "{text}");
    assert!(!text.ends_with('.'), "{text}");
    if let Some(source) = error.source() {
        assert!(!error.to_string().contains(&source.to_string()), "{error}");
    }
    expected.code
}

async fn set_up() -> (ScriptedPlatform, AgentRuntimeClient, SandboxSession) {
    let platform = ScriptedPlatform::start().await;
    let config = ClientConfig {
        max_retries: 0,
        stream_idle_timeout: Duration::from_millis(100),
        ..ClientConfig::default()
    };
    let client = client_with(&platform, config);
    let session = client.create_session("tmpl_1").await.unwrap();
    (platform, client, session)
}

#[tokio::test]
#[allow(clippy::too_many_lines, reason = "one table: a step for each variant")]
async fn every_variant_has_the_expected_properties() {
    let (platform, client, session) = set_up().await;
    let mut seen = BTreeSet::new();
    let mut expect = |error: &Error, expected: Expected| {
        seen.insert(check(error, &expected));
    };
    let plain = Expected {
        code: "",
        status: None,
        retryable: false,
        has_source: false,
        text: "",
    };

    // This error occurs before anything is sent. In all later cases the request reaches the
    // platform.
    let error = session.invoke("hi").request_id("a\nb").await.unwrap_err();
    expect(
        &error,
        Expected {
            code: "validation",
            text: "invalid request_id: ",
            ..plain
        },
    );

    platform.script("GET /v2/sandboxes", Reply::error(500, "out of order"));
    let error = client.list_sessions().await.unwrap_err();
    let status = Some(500);
    expect(
        &error,
        Expected {
            code: "runtime",
            status,
            text: "list sandboxes: out of order (HTTP 500)",
            ..plain
        },
    );

    platform.script("GET /v2/sandboxes", Reply::body(200, "text/html", "<html>"));
    let error = client.list_sessions().await.unwrap_err();
    expect(
        &error,
        Expected {
            code: "protocol",
            text: "list sandboxes: the response is not as expected: expected value",
            ..plain
        },
    );

    platform.script("GET /v2/sandboxes", Reply::error(401, "unknown key"));
    let error = client.list_sessions().await.unwrap_err();
    let status = Some(401);
    expect(
        &error,
        Expected {
            code: "authentication",
            status,
            text: "authentication failed: unknown key",
            ..plain
        },
    );

    let error = client.create_session("missing").await.unwrap_err();
    let status = Some(404);
    expect(
        error.root(),
        Expected {
            code: "template_not_found",
            status,
            text: "template \"missing\" not found",
            ..plain
        },
    );

    platform.script("POST /sandboxes", Reply::error(500, "no room"));
    let error = client.create_session("tmpl_1").await.unwrap_err();
    expect(
        &error,
        Expected {
            code: "sandbox_creation",
            status: Some(500),
            retryable: true,
            has_source: true,
            text: "cannot create a session from template \"tmpl_1\": create sandbox: no room (HTTP 500)",
        },
    );

    platform.script("GET /sandboxes/{id}", Reply::error(404, "no such sandbox"));
    let other = client.platform().get_sandbox("sb9").await.unwrap_err();
    expect(
        &other,
        Expected {
            code: "session_not_found",
            status,
            text: "session \"sb9\" not found",
            ..plain
        },
    );

    platform.script(INVOKE, Reply::error(422, "missing field `prompt`"));
    let error = session.invoke("hi").await.unwrap_err();
    let status = Some(422);
    expect(
        &error,
        Expected {
            code: "invocation",
            status,
            text: "the agent failed: missing field `prompt` (HTTP 422)",
            ..plain
        },
    );

    platform.script(INVOKE, Reply::nothing().reset());
    let error = session.invoke("hi").await.unwrap_err();
    expect(
        &error,
        Expected {
            code: "network",
            has_source: true,
            text: "invoke agent: the connection failed: connection lost while waiting",
            ..plain
        },
    );

    platform.script(INVOKE, Reply::nothing().hang());
    let limit = Duration::from_millis(50);
    let error = session.invoke("hi").timeout(limit).await.unwrap_err();
    expect(
        &error,
        Expected {
            code: "timeout",
            text: "invoke agent: no response within 50ms",
            ..plain
        },
    );

    platform.script(INVOKE, Reply::events().chunk("data: 1\n\n").hang());
    let mut stream = session.invoke("hi").stream().await.unwrap();
    stream.next().await.unwrap().unwrap();
    let error = stream.next().await.unwrap().unwrap_err();
    expect(
        &error,
        Expected {
            code: "stream_idle",
            text: "no data on the agent's stream for 100ms",
            ..plain
        },
    );

    let headers = [("retry-after", "7")];
    platform.script(
        "GET /v2/sandboxes",
        Reply::with_headers(429, &headers, "slow down"),
    );
    let error = client.list_sessions().await.unwrap_err();
    let pause = Duration::from_secs(7);
    assert!(matches!(&error, Error::RateLimit { retry_after: Some(after), .. } if *after == pause));
    expect(
        &error,
        Expected {
            code: "rate_limit",
            status: Some(429),
            retryable: true,
            text: "rate limited: slow down",
            ..plain
        },
    );

    platform.script("GET /v2/sandboxes", Reply::error(403, "20 are the limit"));
    let error = client.list_sessions().await.unwrap_err();
    expect(
        &error,
        Expected {
            code: "quota_exceeded",
            status: Some(403),
            text: "quota exceeded or not allowed: 20 are",
            ..plain
        },
    );

    platform.script(
        "POST /sandboxes/{id}/pause",
        Reply::error(501, "no snapshots"),
    );
    let error = session.pause().await.unwrap_err();
    let status = Some(501);
    expect(
        &error,
        Expected {
            code: "sandbox_operation",
            status,
            has_source: true,
            text: "cannot pause sandbox \"sb1\": pause sandbox: no snapshots (HTTP 501)",
            ..plain
        },
    );

    let all = [
        "authentication",
        "invocation",
        "network",
        "protocol",
        "quota_exceeded",
        "rate_limit",
        "runtime",
        "sandbox_creation",
        "sandbox_operation",
        "session_not_found",
        "stream_idle",
        "template_not_found",
        "timeout",
        "validation",
    ];
    assert_eq!(seen, BTreeSet::from(all));
}

/// The agent's port returns error statuses. For some of these statuses, the error differs from that
/// of the same status of the control plane.
#[tokio::test]
async fn the_agents_port_has_other_errors_than_the_control_plane() {
    let (platform, _client, session) = set_up().await;
    for (status, code) in [
        (401, "authentication"),
        (403, "invocation"),
        (404, "invocation"),
        (429, "rate_limit"),
        (500, "invocation"),
        (502, "invocation"),
        (503, "invocation"),
    ] {
        platform.script(INVOKE, Reply::error(status, "no"));
        let error = session.invoke("hi").await.unwrap_err();
        assert_eq!((error.code(), error.status()), (code, Some(status)));
        // Only statuses that are sent before any work has started are retryable.
        assert_eq!(
            error.is_retryable(),
            [429, 503].contains(&status),
            "{error}"
        );
        platform.script("agent GET /ping", Reply::error(status, "no"));
        let error = session.ping().await.unwrap_err();
        assert_eq!(error.status(), Some(status), "{error}");
    }
}

/// A 502 may mean that the sandbox is gone, so the client looks up the sandbox. The lookup has to
/// end within the invocation's timeout.
#[tokio::test]
async fn the_lookup_of_a_sandbox_after_a_502_ends_within_the_deadline() {
    let (platform, _client, session) = set_up().await;
    platform.script(INVOKE, Reply::error(502, "connection refused"));
    platform.script("GET /sandboxes/{id}", Reply::nothing().hang());
    let invoked = session.invoke("hi").timeout(Duration::from_millis(300));
    let error = tokio::time::timeout(Duration::from_secs(5), invoked.into_future())
        .await
        .expect("within the deadline")
        .unwrap_err();
    assert_eq!((error.code(), error.status()), ("invocation", Some(502)));
    assert_eq!(platform.count("GET /sandboxes/{id}"), 1);
}

/// For every failure of a creation, the variant names the operation and the root is the cause.
#[tokio::test]
async fn every_failed_creation_has_one_variant_and_its_cause_as_root() {
    let platform = ScriptedPlatform::start().await;
    let config = ClientConfig {
        max_retries: 0,
        timeout: Duration::from_millis(500),
        ..ClientConfig::default()
    };
    let client = client_with(&platform, config);
    for (reply, root, [network, timeout, rate_limit, authentication]) in [
        (
            Reply::error(401, "no"),
            "authentication",
            [false, false, false, true],
        ),
        (Reply::error(403, "no"), "quota_exceeded", [false; 4]),
        (Reply::error(404, "no"), "template_not_found", [false; 4]),
        (
            Reply::error(429, "no"),
            "rate_limit",
            [false, false, true, false],
        ),
        (Reply::error(500, "no"), "runtime", [false; 4]),
        (
            Reply::body(201, "text/html", "<html>"),
            "protocol",
            [false; 4],
        ),
        (
            Reply::nothing().reset(),
            "network",
            [true, false, false, false],
        ),
        (
            Reply::nothing().hang(),
            "timeout",
            [false, true, false, false],
        ),
    ] {
        platform.script("POST /sandboxes", reply);
        let error = client.create_session("tmpl_1").await.unwrap_err();
        assert!(matches!(error, Error::SandboxCreation { .. }), "{error}");
        assert_eq!(error.root().code(), root);
        assert_eq!(error.is_network(), network, "{root}");
        assert_eq!(error.is_timeout(), timeout, "{root}");
        assert_eq!(error.is_rate_limit(), rate_limit, "{root}");
        assert_eq!(error.is_authentication(), authentication, "{root}");
    }
    // An operation on an existing sandbox also has one variant, with the cause as its root.
    let session = client.create_session("tmpl_1").await.unwrap();
    for (status, root) in [
        (401, "authentication"),
        (403, "quota_exceeded"),
        (429, "rate_limit"),
    ] {
        platform.script("POST /sandboxes/{id}/pause", Reply::error(status, "no"));
        let error = session.pause().await.unwrap_err();
        assert!(matches!(error, Error::SandboxOperation { .. }), "{error}");
        assert_eq!(error.root().code(), root);
    }
}

/// The retry loop of the Python SDK's documentation: wait after a rate limit and after a network
/// failure, in any of the requests of an invocation.
#[tokio::test]
async fn a_retry_loop_sees_rate_limits_and_network_failures_of_every_step() {
    let platform = ScriptedPlatform::start().await;
    let config = ClientConfig {
        max_retries: 0,
        ..ClientConfig::default()
    };
    let client = client_with(&platform, config);
    let limited = [("retry-after", "0")];
    platform.script("POST /sandboxes", Reply::with_headers(429, &limited, "no"));
    platform.script("POST /sandboxes", Reply::nothing().with_effect().reset());
    platform.script(INVOKE, Reply::error(429, "no"));
    platform.script(INVOKE, Reply::nothing().reset());
    let (mut rate_limits, mut network) = (0, 0);
    let response = loop {
        match client.invoke_agent("tmpl_1", "hi").await {
            Err(error) if error.is_rate_limit() => rate_limits += 1,
            Err(error) if error.is_network() => network += 1,
            outcome => break outcome.unwrap(),
        }
    };
    assert!(response.is_success());
    assert_eq!((rate_limits, network), (2, 2));
    client.close().await.unwrap();
    assert!(platform.live().is_empty());
}

#[tokio::test]
async fn ping_reports_a_paused_or_expired_sandbox() {
    let (platform, client, session) = set_up().await;
    session.pause().await.unwrap();
    let error = session.ping().await.unwrap_err();
    let text = error.report().to_string();
    assert_eq!(
        text,
        "cannot ping the agent of sandbox \"sb1\": ping agent: the sandbox is paused; call \
         resume() first (HTTP 502)"
    );
    session.resume().await.unwrap();
    assert!(session.ping().await.is_ok());

    platform.expire(session.sandbox_id());
    let error = session.ping().await.unwrap_err();
    assert!(matches!(error, Error::SessionNotFound { .. }), "{error}");

    // A 502 of a running agent is the agent's own response.
    let session = client.create_session("tmpl_1").await.unwrap();
    platform.script("agent GET /ping", Reply::error(502, "no"));
    let error = session.ping().await.unwrap_err();
    assert!(matches!(error, Error::Invocation { .. }), "{error}");
}
