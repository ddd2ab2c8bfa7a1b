//! CORS: which web pages may call the agent.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::{Answer, TestServer, config, echo, get, invocation_with};
use ppio::{AgentRuntimeApp, Next, Request, Response, RuntimeConfig, SseIter, Value};

const PAGE: &str = "https://app.example";

async fn server(config: RuntimeConfig) -> TestServer {
    let app = AgentRuntimeApp::builder()
        .config(config)
        .entrypoint(|count: u32| SseIter((0..count).map(Ok::<_, ppio::Error>)))
        .build();
    TestServer::start(app).await
}

/// Sends the preflight request of a browser.
async fn preflight(server: &TestServer, path: &str, origin: &str) -> Answer {
    preflight_at(server, path, "localhost", origin).await
}

async fn preflight_at(server: &TestServer, path: &str, host: &str, origin: &str) -> Answer {
    server
        .send(format!(
            "OPTIONS {path} HTTP/1.1\r\nhost: {host}\r\norigin: {origin}\r\n\
             access-control-request-method: POST\r\n\
             access-control-request-headers: authorization,content-type\r\n\r\n"
        ))
        .await
}

/// Sends an invocation, as a page if there is an origin and as a program otherwise.
async fn call(server: &TestServer, origin: Option<&str>, body: &str) -> Answer {
    let origin = origin.map_or(String::new(), |origin| format!("origin: {origin}\r\n"));
    server.send(invocation_with(&origin, body)).await
}

/// The headers of an answer that allow a page to read the answer.
fn grants(answer: &Answer) -> [Option<&str>; 3] {
    [
        "access-control-allow-origin",
        "access-control-allow-credentials",
        "access-control-expose-headers",
    ]
    .map(|name| answer.header(name))
}

/// The headers of an answer to a preflight that allow a page to send the request.
fn permissions(answer: &Answer) -> [Option<&str>; 3] {
    [
        "access-control-allow-methods",
        "access-control-allow-headers",
        "access-control-max-age",
    ]
    .map(|name| answer.header(name))
}

/// The header names in all `Vary` lines of an answer.
fn varies(answer: &Answer) -> Vec<&str> {
    let values = answer.head.all("vary");
    values.flat_map(|value| value.split(", ")).collect()
}

const PERMITTED: [Option<&str>; 3] = [
    Some("GET, HEAD, POST, OPTIONS"),
    Some("authorization,content-type"),
    Some("600"),
];

#[tokio::test]
async fn with_a_wildcard_every_page_may_call_without_credentials() {
    let server = server(config().cors_origins(["*"])).await;
    let asked = preflight(&server, "/invocations", PAGE).await;
    assert_eq!(asked.status, 204);
    assert_eq!(permissions(&asked), PERMITTED);
    let granted = [Some("*"), None, Some("x-request-id")];
    assert_eq!(grants(&asked), granted);
    // A page has to be able to read values, streams and errors.
    for (body, status) in [("2", 200), ("nope", 400), ("\"x\"", 422)] {
        let answer = call(&server, Some(PAGE), body).await;
        assert_eq!(
            (answer.status, grants(&answer)),
            (status, granted),
            "{body}"
        );
        assert!(
            varies(&answer).is_empty(),
            "the answer is the same for all origins"
        );
    }
    let no_page = call(&server, None, "2").await;
    assert_eq!(grants(&no_page), [None; 3]);
}

#[tokio::test]
async fn by_default_pages_of_this_machine_and_of_the_agent_may_call() {
    let server = server(config().allowed_hosts(["agent.example"])).await;
    for (host, origin) in [
        ("localhost:8080", "http://localhost:8080"),
        ("localhost:8080", "http://localhost:3000"),
        ("localhost:8080", "https://localhost"),
        ("localhost:8080", "http://127.0.0.1:5173"),
        ("127.0.0.1:8080", "http://127.0.0.2"),
        ("localhost:8080", "http://[::1]:8080"),
        ("localhost:8080", "http://8080-iabc.localhost:3000"),
        ("agent.example", "https://agent.example"),
        ("Agent.example:8443", "https://agent.example:8443"),
    ] {
        let granted = [Some(origin), None, Some("x-request-id")];
        let asked = preflight_at(&server, "/invocations", host, origin).await;
        assert_eq!((asked.status, permissions(&asked)), (204, PERMITTED));
        assert_eq!(grants(&asked), granted);
        for (body, status) in [("2", 200), ("nope", 400), ("\"x\"", 422)] {
            let request = invocation_with(&format!("origin: {origin}\r\n"), body);
            let request = request.replace("host: localhost", &format!("host: {host}"));
            let answer = server.send(request).await;
            assert_eq!((answer.status, grants(&answer)), (status, granted));
            assert_eq!(varies(&answer), ["origin"]);
        }
    }
    let program = call(&server, None, "2").await;
    assert_eq!((program.status, grants(&program)), (200, [None; 3]));
}

const FOREIGN: [&str; 13] = [
    PAGE,
    "http://evil.example:8080",
    "http://localhost.evil.example",
    "http://127.0.0.1.evil.example",
    "http://evil-localhost",
    "http://.localhost",
    "http://evil.example/.localhost",
    "http://localhost@evil.example",
    "https://0.0.0.0",
    "chrome-extension://localhost",
    "null",
    "*",
    "",
];

#[tokio::test]
async fn by_default_other_pages_may_neither_call_nor_read() {
    let calls = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&calls);
    let app = AgentRuntimeApp::builder()
        .config(config())
        .entrypoint(move |_: Value| {
            count.fetch_add(1, Ordering::Relaxed);
            async {}
        })
        .build();
    let server = TestServer::start(app).await;
    for origin in FOREIGN {
        let asked = preflight(&server, "/invocations", origin).await;
        assert_eq!(
            (asked.status, permissions(&asked), grants(&asked)),
            (204, [None; 3], [None; 3]),
            "{origin}"
        );
        let answer = call(&server, Some(origin), "2").await;
        let error = answer.error(403, "OriginNotAllowed");
        assert!(error.contains(&format!("origin {origin:?}")), "{error}");
        assert!(error.contains("PPIO_AGENT_CORS_ORIGINS"), "{error}");
        assert_eq!(
            (grants(&answer), varies(&answer)),
            ([None; 3], vec!["origin"])
        );
        // Requests without a side effect are answered; the browser hides the response from the
        // page.
        for (line, status) in [
            ("GET /ping", 200),
            ("GET /", 200),
            ("GET /metrics", 200),
            ("GET /nope", 404),
            ("GET /invocations", 403),
            ("OPTIONS /ping", 204),
            ("POST /ping", 403),
            ("PUT /invocations", 403),
            ("DELETE /nope", 403),
            ("OPTIONS /nope", 403),
        ] {
            let request = format!("{line} HTTP/1.1\r\nhost: localhost\r\norigin: {origin}\r\n\r\n");
            let answer = server.send(request).await;
            assert_eq!(
                (answer.status, grants(&answer)),
                (status, [None; 3]),
                "{line}"
            );
            assert!(varies(&answer).contains(&"origin"), "{line}");
        }
    }
    assert_eq!(calls.load(Ordering::Relaxed), 0);
    // The response to a program varies by origin as well, since a cache must not send it to a page.
    let ping = server.send(get("/ping")).await;
    assert_eq!(varies(&ping), ["origin"]);
}

/// Middleware can answer by itself and have side effects, even for a `GET`.
#[tokio::test]
async fn requests_of_other_pages_do_not_reach_middleware() {
    let calls = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&calls);
    let app = AgentRuntimeApp::builder()
        .config(config())
        .middleware_for_all_routes(move |request: Request, next: Next| {
            count.fetch_add(1, Ordering::Relaxed);
            async move {
                if request.uri().path() == "/own" {
                    return Response::new("done".into());
                }
                next.run(request).await
            }
        })
        .entrypoint(|request: Value| async { request })
        .build();
    let server = TestServer::start(app).await;
    for line in [
        "GET /own",
        "HEAD /own",
        "POST /own",
        "OPTIONS /own",
        "GET /ping",
        "POST /invocations",
    ] {
        let send = async |origin: &str| {
            let mut connection = server.connect().await;
            let request = format!("{line} HTTP/1.1\r\nhost: localhost\r\norigin: {origin}\r\n\r\n");
            connection.write(request).await;
            connection.head().await.status
        };
        assert_eq!(send(PAGE).await, 403, "{line}");
        assert_eq!(calls.swap(0, Ordering::Relaxed), 0, "{line}");
        assert_ne!(send("http://localhost:3000").await, 403, "{line}");
        assert_eq!(calls.swap(0, Ordering::Relaxed), 1, "{line}");
    }
    // The runtime answers preflights before middleware.
    let asked = preflight(&server, "/ping", PAGE).await;
    assert_eq!((asked.status, grants(&asked)), (204, [None; 3]));
    assert_eq!(calls.load(Ordering::Relaxed), 0);
}

/// Requests that a page can send without a preflight are not read as JSON.
#[tokio::test]
async fn a_page_has_to_send_a_content_type() {
    for config in [
        config(),
        config().cors_origins(["*"]),
        config().cors_origins(["http://localhost:3000", "http://localhost"]),
    ] {
        let server = server(config).await;
        let post = async |headers: &str| {
            let head = "POST /invocations HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1\r\n";
            server.send(format!("{head}{headers}\r\n2")).await
        };
        for origin in ["http://localhost:3000", "http://localhost"] {
            let answer = post(&format!("origin: {origin}\r\n")).await;
            let error = answer.error(415, "UnsupportedMediaType");
            assert!(error.contains("application/json"), "{error}");
            for kind in [
                "text/plain",
                "text/plain;application/json",
                "application/x-www-form-urlencoded",
                "multipart/form-data; boundary=a",
            ] {
                let answer = post(&format!("origin: {origin}\r\ncontent-type: {kind}\r\n")).await;
                answer.error(415, "UnsupportedMediaType");
            }
        }
        // Programs need not send a content type.
        assert_eq!(post("").await.status, 200);
    }
}

#[tokio::test]
async fn only_listed_pages_may_call_with_credentials() {
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
        answer.error(403, "OriginNotAllowed");
        assert_eq!(grants(&answer), [None; 3], "{other}");
        assert_eq!(varies(&answer), ["origin"], "{other}");
        // A request without side effects is answered; the browser hides the response from the page.
        let read = format!("GET /ping HTTP/1.1\r\nhost: localhost\r\norigin: {other}\r\n\r\n");
        let answer = server.send(read).await;
        assert_eq!(
            (answer.status, grants(&answer)),
            (200, [None; 3]),
            "{other}"
        );
    }
    let no_page = call(&server, None, "2").await;
    assert_eq!(
        (grants(&no_page), varies(&no_page)),
        ([None; 3], vec!["origin"])
    );
}

#[tokio::test]
async fn credentials_require_a_list_of_origins() {
    let config = config().cors_origins([PAGE]);
    let server = server(config).await;
    let answer = call(&server, Some(PAGE), "2").await;
    assert_eq!(grants(&answer), [Some(PAGE), None, Some("x-request-id")]);
    // Credentials are never allowed with `*`, even if it is listed with other origins.
    for origins in [None, Some(&["*"][..]), Some(&[PAGE, "*"])] {
        let config = match origins {
            None => crate::support::config(),
            Some(origins) => crate::support::config().cors_origins(origins.iter().copied()),
        };
        let app = echo(config.cors_credentials(true));
        let error = app.expect_err("a configuration that no browser accepts");
        let text = error.to_string();
        assert!(text.contains("PPIO_AGENT_CORS_CREDENTIALS"), "{text}");
        assert!(text.contains("PPIO_AGENT_CORS_ORIGINS"), "{text}");
    }
}

#[tokio::test]
async fn with_an_empty_list_no_page_may_call() {
    let server = server(config().cors_origins::<[&str; 0]>([])).await;
    let asked = preflight(&server, "/invocations", PAGE).await;
    assert_eq!(
        (permissions(&asked), grants(&asked)),
        ([None; 3], [None; 3])
    );
    let answer = call(&server, Some(PAGE), "2").await;
    answer.error(403, "OriginNotAllowed");
    assert_eq!(grants(&answer), [None; 3]);
    assert_eq!(call(&server, None, "2").await.status, 200);
}

/// The middleware answers `POST /own`, and every request to `/preflights`.
#[tokio::test]
async fn a_preflight_for_a_route_of_middleware_is_answered() {
    for config in [
        config(),
        config().cors_origins([PAGE, "http://localhost:3000"]),
    ] {
        let app = AgentRuntimeApp::builder()
            .config(config)
            .middleware_for_all_routes(async |request: Request, next: Next| {
                if request.uri().path() == "/own" && request.method() == "POST" {
                    return Response::new("done".into());
                }
                if request.uri().path() == "/preflights" {
                    return Response::new("mine".into());
                }
                next.run(request).await
            })
            .entrypoint(|request: Value| async { request })
            .build();
        let server = TestServer::start(app).await;
        let origin = "http://localhost:3000";
        let asked = preflight(&server, "/own", origin).await;
        let permitted = [
            Some("POST"),
            Some("authorization,content-type"),
            Some("600"),
        ];
        assert_eq!((asked.status, permissions(&asked)), (204, permitted));
        assert_eq!(grants(&asked)[0], Some(origin));
        let own = preflight(&server, "/preflights", origin).await;
        assert_eq!((own.status, own.text()), (200, "mine"));
        let foreign = preflight(&server, "/own", "https://evil.example").await;
        assert_eq!((foreign.status, permissions(&foreign)), (403, [None; 3]));
        let plain = server.send(get("/own")).await;
        plain.error(404, "NotFound");
    }
}

#[tokio::test]
async fn a_preflight_returns_the_methods_of_its_route() {
    let server = server(config().cors_origins(["*"])).await;
    let asked = preflight(&server, "/ping", PAGE).await;
    assert_eq!(permissions(&asked)[0], Some("GET, HEAD, OPTIONS"));
    assert!(varies(&asked).contains(&"access-control-request-headers"));
    let lost = preflight(&server, "/nope", PAGE).await;
    lost.error(404, "NotFound");
    assert_eq!(grants(&lost)[0], Some("*"));
    // The response to an OPTIONS that is not a preflight has no CORS headers.
    let plain = server
        .send("OPTIONS /invocations HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .await;
    assert_eq!((plain.status, permissions(&plain)), (204, [None; 3]));
}
