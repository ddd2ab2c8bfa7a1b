//! Which pages may call the agent, seen from a browser's side of the wire.

mod support;

use ppio::{AgentRuntimeApp, Events, RuntimeConfig, Value};
use support::{Answer, TestServer, config, invocation_with};

const PAGE: &str = "https://app.example";

async fn server(config: RuntimeConfig) -> TestServer {
    let app = AgentRuntimeApp::builder()
        .config(config)
        .entrypoint(|count: u32| Events((0..count).map(Ok::<_, ppio::Error>)))
        .build();
    TestServer::start(app).await
}

/// What a browser asks before it lets a page call.
async fn preflight(server: &TestServer, path: &str, origin: &str) -> Answer {
    server
        .send(format!(
            "OPTIONS {path} HTTP/1.1\r\nhost: test\r\norigin: {origin}\r\n\
             access-control-request-method: POST\r\n\
             access-control-request-headers: authorization,content-type\r\n\r\n"
        ))
        .await
}

/// The call itself.
async fn call(server: &TestServer, origin: Option<&str>, body: &str) -> Answer {
    let origin = origin.map_or(String::new(), |origin| format!("origin: {origin}\r\n"));
    server.send(invocation_with(&origin, body)).await
}

/// The headers of an answer that let a page read it.
fn grants(answer: &Answer) -> [Option<&str>; 3] {
    [
        "access-control-allow-origin",
        "access-control-allow-credentials",
        "access-control-expose-headers",
    ]
    .map(|name| answer.header(name))
}

/// The headers of an answer to a preflight that let a page call.
fn permissions(answer: &Answer) -> [Option<&str>; 3] {
    [
        "access-control-allow-methods",
        "access-control-allow-headers",
        "access-control-max-age",
    ]
    .map(|name| answer.header(name))
}

/// Names of headers that an answer's `Vary` holds, on however many lines.
fn varies(answer: &Answer) -> Vec<&str> {
    let values = answer.head.all("vary");
    values.flat_map(|value| value.split(", ")).collect()
}

const PERMITTED: [Option<&str>; 3] = [
    Some("POST, OPTIONS"),
    Some("authorization,content-type"),
    Some("600"),
];

#[tokio::test]
async fn without_a_setting_every_page_may_call_without_credentials() {
    let server = server(config()).await;
    let asked = preflight(&server, "/invocations", PAGE).await;
    assert_eq!(asked.status, 204);
    assert_eq!(permissions(&asked), PERMITTED);
    let granted = [Some("*"), None, Some("x-request-id")];
    assert_eq!(grants(&asked), granted);
    // A value, a stream and an error alike: a page has to be able to read what went wrong.
    for (body, status) in [("2", 200), ("nope", 400), ("\"x\"", 422)] {
        let answer = call(&server, Some(PAGE), body).await;
        assert_eq!(
            (answer.status, grants(&answer)),
            (status, granted),
            "{body}"
        );
        assert!(varies(&answer).is_empty(), "the answer is the same for all");
    }
    let no_page = call(&server, None, "2").await;
    assert_eq!(grants(&no_page), [None; 3]);
}

#[tokio::test]
async fn named_pages_may_call_with_credentials_and_no_others_may() {
    let config = config()
        .cors_origins([PAGE, "http://localhost:3000/"])
        .cors_credentials(true);
    let server = server(config).await;
    for origin in [PAGE, "http://localhost:3000"] {
        let granted = [Some(origin), Some("true"), Some("x-request-id")];
        let asked = preflight(&server, "/invocations", origin).await;
        assert_eq!(permissions(&asked), PERMITTED);
        assert_eq!(grants(&asked), granted);
        let answer = call(&server, Some(origin), "2").await;
        assert_eq!(grants(&answer), granted);
        assert_eq!(varies(&answer), ["origin"]);
    }
    for other in [
        "https://app.example.evil.example",
        "https://evil.example",
        "http://app.example",
        "https://app.example:444",
        "https://APP.example",
        "null",
        "*",
        "",
    ] {
        let asked = preflight(&server, "/invocations", other).await;
        assert_eq!(asked.status, 204);
        assert_eq!(
            (permissions(&asked), grants(&asked)),
            ([None; 3], [None; 3]),
            "{other}"
        );
        let answer = call(&server, Some(other), "2").await;
        // The browser keeps the answer from the page; a client that is no browser gets it.
        assert_eq!(
            (answer.status, grants(&answer)),
            (200, [None; 3]),
            "{other}"
        );
        assert_eq!(varies(&answer), ["origin"], "{other}");
    }
    let no_page = call(&server, None, "2").await;
    assert_eq!(
        (grants(&no_page), varies(&no_page)),
        ([None; 3], vec!["origin"])
    );
}

#[tokio::test]
async fn credentials_need_names() {
    let config = config().cors_origins([PAGE]);
    let server = server(config).await;
    let answer = call(&server, Some(PAGE), "2").await;
    assert_eq!(grants(&answer), [Some(PAGE), None, Some("x-request-id")]);
    // And never with `*`, whatever else is named.
    for origins in [&["*"][..], &[PAGE, "*"]] {
        let config = support::config().cors_origins(origins.iter().copied());
        let app = AgentRuntimeApp::builder()
            .config(config.cors_credentials(true))
            .entrypoint(|request: Value| async { request })
            .build();
        let error = app.expect_err("a configuration that no browser accepts");
        let text = error.to_string();
        assert!(text.contains("PPIO_AGENT_CORS_CREDENTIALS"), "{text}");
        assert!(text.contains("PPIO_AGENT_CORS_ORIGINS"), "{text}");
    }
}

#[tokio::test]
async fn with_no_origin_no_page_may_call() {
    let server = server(config().cors_origins::<[&str; 0]>([])).await;
    let asked = preflight(&server, "/invocations", PAGE).await;
    assert_eq!(
        (permissions(&asked), grants(&asked)),
        ([None; 3], [None; 3])
    );
    let answer = call(&server, Some(PAGE), "2").await;
    assert_eq!(grants(&answer), [None; 3]);
}

#[tokio::test]
async fn a_preflight_answers_for_its_own_route() {
    let server = server(config()).await;
    let asked = preflight(&server, "/ping", PAGE).await;
    assert_eq!(permissions(&asked)[0], Some("GET, HEAD, OPTIONS"));
    assert!(varies(&asked).contains(&"access-control-request-headers"));
    let lost = preflight(&server, "/nope", PAGE).await;
    lost.error(404, "NotFound");
    assert_eq!(grants(&lost)[0], Some("*"));
    // An OPTIONS that is no preflight says nothing of pages.
    let plain = server
        .send("OPTIONS /invocations HTTP/1.1\r\nhost: test\r\n\r\n")
        .await;
    assert_eq!((plain.status, permissions(&plain)), (204, [None; 3]));
}
