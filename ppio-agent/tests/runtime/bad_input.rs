//! Invalid requests get an exact error, and do not affect other requests.

use std::time::Duration;

use crate::support::{TestServer, config, get, invocation, invocation_with};
use ppio::{AgentRuntimeApp, ByteSize, Json, Value, json};
use tokio::io::AsyncWriteExt as _;

#[derive(serde::Deserialize, serde::Serialize)]
struct Order {
    items: Vec<Item>,
}

#[derive(serde::Deserialize, serde::Serialize)]
struct Item {
    count: u32,
}

const LIMIT: usize = 1000;

/// An agent that returns its request.
async fn echo() -> TestServer {
    let config = config().max_request_size(ByteSize::new(LIMIT as u64));
    TestServer::start(crate::support::echo(config)).await
}

/// A JSON string of `length` bytes.
fn json_of(length: usize) -> String {
    format!("\"{}\"", "x".repeat(length - 2))
}

/// Returns an invocation whose body is sent in two chunks.
fn chunked(body: &str) -> String {
    let (first, second) = body.split_at(body.len() / 2);
    format!(
        "POST /invocations HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         transfer-encoding: chunked\r\n\r\n{:x}\r\n{first}\r\n{:x}\r\n{second}\r\n0\r\n\r\n",
        first.len(),
        second.len()
    )
}

#[tokio::test]
async fn a_body_that_is_not_json_is_a_400_with_the_position() {
    let server = echo().await;
    let deep = "[".repeat(200) + &"]".repeat(200);
    for (body, text) in [
        ("nope", "invalid JSON at line 1 column 2: expected ident"),
        ("{\"a\":", "invalid JSON at line 1 column 5: EOF"),
        ("{\"a\":\n nope}", "invalid JSON at line 2 column 3"),
        ("{} {}", "trailing characters"),
        (deep.as_str(), "recursion limit"),
        ("", "the request body is empty; send a JSON value"),
        (" \n", "the request body is empty"),
        ("NaN", "invalid JSON"),
    ] {
        let error = server.invoke(body).await.error(400, "InvalidJson");
        assert!(error.contains(text), "{body:?}: {error}");
    }
    server.assert_alive().await;
}

#[tokio::test]
async fn invalid_utf8_is_a_400_with_its_offset() {
    let server = echo().await;
    let mut request = invocation("{\"a\":\"??\"}").into_bytes();
    let at = request.len() - 4;
    request[at..at + 2].copy_from_slice(b"\xff\xfe");
    let error = server.send(request).await.error(400, "InvalidJson");
    assert_eq!(error, "the request body is not UTF-8: bad byte at offset 6");
    server.assert_alive().await;
}

#[tokio::test]
async fn one_byte_over_the_limit_is_a_413_and_the_limit_itself_passes() {
    let server = echo().await;
    let (fits, over) = (json_of(LIMIT), json_of(LIMIT + 1));
    for good in [invocation(&fits), chunked(&fits)] {
        let answer = server.send(good).await;
        assert_eq!(answer.result().as_str().unwrap().len(), LIMIT - 2);
    }
    for bad in [invocation(&over), chunked(&over)] {
        let error = server.send(bad).await.error(413, "RequestTooLarge");
        assert!(error.contains("larger than 1k "), "{error}");
        assert!(error.contains("PPIO_AGENT_MAX_REQUEST_SIZE"), "{error}");
    }
    server.assert_alive().await;
}

#[tokio::test]
async fn a_client_that_sends_far_over_the_limit_receives_the_413() {
    let server = echo().await;
    // The body exceeds the sockets' buffers, so that the client is still sending when it is
    // refused.
    let body = json_of(3 << 20);
    for bad in [invocation(&body), chunked(&body)] {
        server.send(bad).await.error(413, "RequestTooLarge");
    }
    server.assert_alive().await;
}

#[tokio::test]
async fn a_content_length_that_overflows_is_refused() {
    let server = echo().await;
    for length in [
        "18446744073709551615",
        "99999999999999999999999",
        "-1",
        "1 2",
    ] {
        let mut connection = server.connect().await;
        connection
            .write(format!(
                "POST /invocations HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\n\r\n"
            ))
            .await;
        let head = connection.head().await;
        // hyper itself refuses the first length.
        let refused = [400, 413, 431].contains(&head.status);
        assert!(refused, "{length}: {head:?}");
    }
    server.assert_alive().await;
}

#[tokio::test]
async fn a_body_that_ends_early_is_a_400() {
    let server = echo().await;
    let mut connection = server.connect().await;
    let request = invocation(&json_of(100));
    connection.write(&request[..request.len() - 10]).await;
    connection.stream.shutdown().await.unwrap();
    // The client has closed only its sending side and still reads.
    let error = connection.answer().await.error(400, "IncompleteBody");
    assert!(
        error.starts_with("the request body was cut short"),
        "{error}"
    );
    connection.assert_closed().await;
    server.assert_alive().await;
}

#[tokio::test]
async fn broken_chunks_are_a_400() {
    let server = echo().await;
    let mut connection = server.connect().await;
    connection
        .write(
            "POST /invocations HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: \
             chunked\r\n\r\nzz\r\n",
        )
        .await;
    connection.answer().await.error(400, "IncompleteBody");
    connection.assert_closed().await;
    server.assert_alive().await;
}

#[tokio::test]
async fn an_empty_body_is_a_400() {
    let server = echo().await;
    for request in [
        "POST /invocations HTTP/1.1\r\nhost: localhost\r\n\r\n",
        "POST /invocations HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n",
        "POST /invocations HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: \
         chunked\r\n\r\n0\r\n\r\n",
    ] {
        let error = server.send(request).await.error(400, "InvalidJson");
        assert_eq!(error, "the request body is empty; send a JSON value");
    }
    server.assert_alive().await;
}

#[tokio::test]
async fn another_content_type_or_encoding_is_a_415() {
    let server = echo().await;
    for (header, found) in [
        ("content-type: text/plain", "\"text/plain\""),
        (
            "content-type: application/x-www-form-urlencoded",
            "x-www-form-urlencoded",
        ),
        ("content-type: multipart/form-data; boundary=a", "multipart"),
        // A request from a web page needs a content type, so that browsers send a preflight first.
        (
            "origin: http://localhost\r\ncontent-type:",
            "a content type",
        ),
        ("content-type:\r\ncontent-type: text/plain", "text/plain"),
        ("content-encoding: gzip", "\"gzip\""),
        ("content-encoding: identity, br", "br"),
        (
            "content-type: application/json\r\ncontent-type: text/plain",
            "text/plain",
        ),
        (
            "content-type: application/json\r\ncontent-encoding: gzip",
            "\"gzip\"",
        ),
    ] {
        let request = format!(
            "POST /invocations HTTP/1.1\r\nhost: localhost\r\n{header}\r\ncontent-length: \
             2\r\n\r\n{{}}"
        );
        let answer = server.send(request).await;
        let error = answer.error(415, "UnsupportedMediaType");
        assert!(error.contains(found), "{error}");
    }
    for header in [
        "content-type: application/json; charset=utf-8",
        "content-type: application/cloudevents+json",
        "content-encoding: identity",
        "content-type: application/json\r\ncontent-encoding: identity",
        "accept: text/html",
        "content-type:",
        "content-type: \t ",
    ] {
        let request = format!(
            "POST /invocations HTTP/1.1\r\nhost: localhost\r\n{header}\r\ncontent-length: \
             2\r\n\r\n{{}}"
        );
        assert_eq!(server.send(request).await.status, 200, "{header}");
    }
    server.assert_alive().await;
}

#[tokio::test]
async fn a_byte_order_mark_is_skipped() {
    let app = AgentRuntimeApp::builder()
        .config(config())
        .entrypoint(|request: Value, context: ppio::RequestContext| async move {
            json!([request, context.session_id()])
        })
        .build();
    let server = TestServer::start(app).await;
    let answer = server.invoke("\u{feff}{\"sandbox_id\":\"s-1\"}").await;
    assert_eq!(answer.result(), json!([{"sandbox_id": "s-1"}, "s-1"]));
    let error = server.invoke("\u{feff}").await.error(400, "InvalidJson");
    assert_eq!(error, "the request body is empty; send a JSON value");
    for body in ["\u{feff}\u{feff}1", "1\u{feff}", " \u{feff}1"] {
        server.invoke(body).await.error(400, "InvalidJson");
    }
    server.assert_alive().await;
}

#[tokio::test]
async fn valid_json_that_does_not_fit_is_a_422_and_not_a_400() {
    #[derive(serde::Deserialize, serde::Serialize)]
    #[serde(tag = "do", rename_all = "lowercase")]
    enum Step {
        Pay { cents: u64 },
        Say { text: String, volume: f64 },
    }
    let app = AgentRuntimeApp::builder()
        .config(config())
        .entrypoint(|steps: Vec<Step>| async move { Json(steps) })
        .build();
    let server = TestServer::start(app).await;
    for (step, place) in [
        (r#"{"do":"pay","cents":1.0}"#, "(at `[0].cents`)"),
        (r#"{"do":"pay","cents":-1}"#, "(at `[0].cents`)"),
        (r#"{"do":"pay","cents":"1"}"#, "(at `[0].cents`)"),
        (r#"{"do":"pay"}"#, "(at `[0]`)"),
        (r#"{"do":"sing"}"#, "(at `[0].do`)"),
        (
            r#"{"do":"say","text":"x","volume":1e400}"#,
            "(at `[0].volume`)",
        ),
        (
            r#"{"do":"say","text":"\ud800","volume":1}"#,
            "(at `[0].text`)",
        ),
        (r#"{"do":"say","text":1,"volume":1}"#, "(at `[0].text`)"),
    ] {
        let error = server.invoke(&format!("[{step}]")).await;
        let error = error.error(422, "ValidationError");
        assert!(error.ends_with(place), "{step}: {error}");
    }
    server.assert_alive().await;
}

#[tokio::test]
async fn a_body_of_another_type_is_a_422_with_the_path() {
    let app = AgentRuntimeApp::builder()
        .config(config())
        .entrypoint(|order: Order| async move { Json(order) })
        .build();
    let server = TestServer::start(app).await;
    for (body, path) in [
        (
            r#"{"items":[{"count":1},{"count":"x"}]}"#,
            "(at `items[1].count`)",
        ),
        (r#"{"items":[{}]}"#, "(at `items[0]`)"),
        (r#"{"items":[{"count":-1}]}"#, "(at `items[0].count`)"),
        ("{}", "missing field `items` (at the top)"),
        ("[]", "(at the top)"),
        ("null", "(at the top)"),
    ] {
        let error = server.invoke(body).await.error(422, "ValidationError");
        assert!(error.starts_with("the request does not fit: "), "{error}");
        assert!(error.ends_with(path), "{body}: {error}");
    }
    // A syntax error takes precedence, even if it follows a field of another type.
    let broken = server.invoke(r#"{"items":[{"count":"x"}], nope"#).await;
    broken.error(400, "InvalidJson");
    server.assert_alive().await;
}

#[tokio::test]
async fn a_wrong_method_is_a_405_with_the_allowed_methods() {
    let server = echo().await;
    for (method, path, allow) in [
        ("PUT", "/invocations", "GET, HEAD, POST, OPTIONS"),
        ("DELETE", "/invocations", "GET, HEAD, POST, OPTIONS"),
        ("BREW", "/invocations", "GET, HEAD, POST, OPTIONS"),
        ("POST", "/invocations/x", "GET, HEAD, DELETE, OPTIONS"),
        ("PUT", "/invocations/x/events", "GET, OPTIONS"),
        ("DELETE", "/invocations/x/response", "GET, OPTIONS"),
        ("POST", "/ping", "GET, HEAD, OPTIONS"),
        ("POST", "/", "GET, HEAD, OPTIONS"),
        ("PATCH", "/metrics", "GET, HEAD, OPTIONS"),
    ] {
        let request =
            format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2\r\n\r\n{{}}");
        let answer = server.send(request).await;
        let error = answer.error(405, "MethodNotAllowed");
        let text = format!("{method} is not allowed for {path}; use {allow}");
        assert_eq!(error, text);
        assert_eq!(answer.header("allow"), Some(allow));
    }
    server.assert_alive().await;
}

#[tokio::test]
async fn an_unknown_path_is_a_404_for_every_method() {
    let server = echo().await;
    for method in ["GET", "POST", "OPTIONS", "DELETE"] {
        for path in ["/nope", "/invocations/", "/PING", "//ping", "/%70ing"] {
            let request = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
            let error = server.send(request).await.error(404, "NotFound");
            assert!(
                error.starts_with(&format!("no route for {path}; ")),
                "{error}"
            );
        }
    }
    // The error text has only the beginning of a long path.
    let answer = server.send(get(&format!("/{}", "x".repeat(5000)))).await;
    assert!(answer.error(404, "NotFound").len() < 300);
    // A query is not part of the route.
    assert_eq!(server.send(get("/ping?verbose=1")).await.status, 200);
    server.assert_alive().await;
}

#[tokio::test]
async fn head_and_options_are_answered_on_every_route() {
    let server = echo().await;
    for (path, allow) in [
        ("/invocations", "GET, HEAD, POST, OPTIONS"),
        ("/ping", "GET, HEAD, OPTIONS"),
        ("/", "GET, HEAD, OPTIONS"),
        ("/metrics", "GET, HEAD, OPTIONS"),
    ] {
        let mut connection = server.connect().await;
        connection
            .write(format!(
                "OPTIONS {path} HTTP/1.1\r\nhost: localhost\r\n\r\n"
            ))
            .await;
        let answer = connection.answer().await;
        assert_eq!((answer.status, answer.header("allow")), (204, Some(allow)));
        assert!(answer.header("x-request-id").is_some());
        // The same connection is used, on which a body after a HEAD would be read as an invalid
        // response.
        connection
            .write(format!(
                "HEAD {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: a\r\n\r\n"
            ))
            .await;
        let head = connection.head().await;
        assert_eq!(head.status, 200);
        let length: usize = head.header("content-length").unwrap().parse().unwrap();
        assert!(length > 0, "the length of what a GET would return");
        connection.write(get("/ping")).await;
        assert_eq!(connection.answer().await.status, 200);
    }
}

#[tokio::test]
async fn expect_100_continue_is_answered_unless_the_headers_are_refused() {
    let server = echo().await;
    let mut connection = server.connect().await;
    let request = invocation_with("expect: 100-continue\r\n", "{\"a\":1}");
    let (head, body) = request.split_at(request.len() - 7);
    connection.write(head).await;
    assert_eq!(connection.head().await.status, 100);
    connection.write(body).await;
    assert_eq!(connection.answer().await.result()["a"], 1);

    // A client that waits for `100 Continue` is refused before it sends the body.
    for (headers, status) in [
        ("content-length: 1001\r\n", 413),
        ("content-length: 2\r\ncontent-type: text/plain\r\n", 415),
        ("content-length: 2\r\ncontent-encoding: gzip\r\n", 415),
    ] {
        let answer = server
            .send(format!(
                "POST /invocations HTTP/1.1\r\nhost: localhost\r\n{headers}expect: \
                 100-continue\r\n\r\n"
            ))
            .await;
        assert_eq!(answer.status, status, "{headers}");
    }
    server.assert_alive().await;
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let server = echo().await;
    let mut connection = server.connect().await;
    let packet = [
        invocation("1"),
        get("/ping"),
        invocation("not json"),
        get("/nope"),
        invocation("2"),
        "HEAD /ping HTTP/1.1\r\nhost: localhost\r\n\r\n".to_owned(),
    ];
    connection.write(packet.concat()).await;
    assert_eq!(connection.answer().await.result(), 1);
    assert_eq!(connection.answer().await.json()["status"], "Healthy");
    connection.answer().await.error(400, "InvalidJson");
    connection.answer().await.error(404, "NotFound");
    assert_eq!(connection.answer().await.result(), 2);
    assert_eq!(connection.head().await.status, 200);
    // The invalid requests did not close the connection.
    connection.write(invocation("3")).await;
    assert_eq!(connection.answer().await.result(), 3);
}

/// The second request is read while the first one has no answer yet.
#[tokio::test]
async fn a_request_that_arrives_during_another_is_answered_after_it() {
    let gate = std::sync::Arc::new(tokio::sync::Semaphore::new(0));
    let opening = std::sync::Arc::clone(&gate);
    let app = AgentRuntimeApp::builder()
        .config(config())
        .entrypoint(move |request: Value| {
            let gate = std::sync::Arc::clone(&gate);
            async move {
                gate.acquire().await.unwrap().forget();
                request
            }
        })
        .build();
    let server = TestServer::start(app).await;
    let mut connection = server.connect().await;
    for length in [3, 100_000] {
        connection.write(invocation("1")).await;
        while server.metric("invocations_running").await < 1 {}
        connection.write(invocation(&json_of(length))).await;
        server.assert_alive().await;
        opening.add_permits(2);
        assert_eq!(connection.answer().await.result(), 1);
        let second = connection.answer().await.result();
        assert_eq!(second.as_str().map(str::len), Some(length - 2));
    }
}

/// Some clients, such as `nc`, close their sending side after the request.
#[tokio::test]
async fn a_client_that_closes_its_sending_side_gets_its_answer() {
    let server = echo().await;
    let mut connection = server.connect().await;
    connection.write(invocation("1")).await;
    connection.stream.shutdown().await.unwrap();
    assert_eq!(connection.answer().await.result(), 1);
    connection.assert_closed().await;
}

#[tokio::test]
async fn http_1_0_is_answered_and_closed() {
    let server = echo().await;
    let mut connection = server.connect().await;
    connection
        .write("POST /invocations HTTP/1.0\r\ncontent-length: 1\r\n\r\n7")
        .await;
    let answer = connection.answer().await;
    assert_eq!(answer.head.version, "HTTP/1.0");
    assert_eq!(answer.result(), 7);
    connection.assert_closed().await;
}

#[tokio::test]
async fn invalid_http_closes_only_its_connection() {
    let server = echo().await;
    let mut good = server.connect().await;
    good.write(get("/ping")).await;
    assert_eq!(good.answer().await.status, 200);
    for (head, status) in [
        ("\x16\x03\x01\x02\x00\x01\x00\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/1.1\r\nno colon\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/1.1\r\na\0b: c\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/9.9\r\n\r\n".to_owned(), 400),
        (
            format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(200)),
            431,
        ),
        (
            format!("GET / HTTP/1.1\r\na: {}\r\n\r\n", "b".repeat(1 << 20)),
            431,
        ),
        (
            format!("GET /{} HTTP/1.1\r\n\r\n", "b".repeat(100_000)),
            414,
        ),
    ] {
        let mut connection = server.connect().await;
        // The server may refuse the headers and close before all of them are sent.
        let _ = connection.stream.write_all(head.as_bytes()).await;
        let rest = connection.rest().await;
        if !rest.is_empty() || head.len() < 1000 {
            let start = format!("HTTP/1.1 {status} ");
            let rest = String::from_utf8_lossy(&rest);
            assert!(rest.starts_with(&start), "{head:.40}: {rest}");
        }
    }
    good.write(get("/ping")).await;
    assert_eq!(good.answer().await.status, 200);
}

#[tokio::test]
async fn contradicting_lengths_are_refused() {
    let server = echo().await;
    for headers in [
        "content-length: 1\r\ncontent-length: 2\r\n",
        "content-length: 1\r\ntransfer-encoding: gzip\r\n",
        "transfer-encoding: chunked, gzip\r\n",
    ] {
        let mut connection = server.connect().await;
        connection
            .write(format!(
                "POST /invocations HTTP/1.1\r\nhost: localhost\r\n{headers}\r\n"
            ))
            .await;
        assert_eq!(connection.head().await.status, 400, "{headers}");
        let _ = connection.rest().await;
    }
    server.assert_alive().await;
}

#[tokio::test]
async fn request_ids_are_echoed_if_safe_and_replaced_otherwise() {
    let server = echo().await;
    let id = async |headers: &str| {
        let answer = server.send(invocation_with(headers, "{}")).await;
        let id = answer.header("x-request-id").unwrap().to_owned();
        assert_eq!(answer.json()["metadata"]["request_id"], id);
        id
    };
    for good in [
        "abc-1",
        "Root=1-67891233-abcdef",
        "a:b/c.d_e+f@g#h",
        &"x".repeat(128),
    ] {
        assert_eq!(id(&format!("x-request-id: {good}\r\n")).await, good);
    }
    for bad in [
        "",
        "a b",
        "\"",
        "{\"a\":1}",
        "a,b",
        "\u{e9}",
        "a\tb",
        &"x".repeat(129),
    ] {
        let id = id(&format!("x-request-id: {bad}\r\n")).await;
        assert_ne!(id, bad);
        assert_eq!(id.len(), 36, "a UUID in place of {bad:?}");
    }
    // The first value of a repeated header is used.
    assert_eq!(
        id("x-request-id: one\r\nx-request-id: two\r\n").await,
        "one"
    );
    assert_ne!(id("").await, id("").await);
    // Errors and the responses of every other route have an `x-request-id` header as well.
    for request in [
        "GET /ping",
        "GET /",
        "GET /nope",
        "GET /invocations",
        "OPTIONS /ping",
    ] {
        let answer = server
            .send(format!(
                "{request} HTTP/1.1\r\nhost: localhost\r\nx-request-id: r-7\r\n\r\n"
            ))
            .await;
        assert_eq!(answer.header("x-request-id"), Some("r-7"), "{request}");
    }
}

#[tokio::test]
async fn agent_core_callers_get_the_bare_value() {
    let server = echo().await;
    for header in [
        "x-amzn-bedrock-agentcore-runtime-session-id: s-1\r\n",
        "X-Amzn-Bedrock-AgentCore-Runtime-Request-Id: r-1\r\n",
    ] {
        let answer = server.send(invocation_with(header, "{\"a\":1}")).await;
        assert_eq!((answer.status, answer.text()), (200, "{\"a\":1}"));
        let error = server.send(invocation_with(header, "nope")).await;
        error.error(400, "InvalidJson");
    }
    let header = "x-amzn-bedrock-agentcore-runtime-request-id: r-1\r\n";
    let answer = server.send(invocation_with(header, "{}")).await;
    assert_eq!(answer.header("x-request-id"), Some("r-1"));
}

#[tokio::test]
async fn the_index_and_the_ping_have_the_documented_fields() {
    let server = echo().await;
    let index = server.send(get("/")).await.json();
    assert_eq!(index["status"], "running");
    assert_eq!(index["endpoints"]["invocations"], "/invocations");
    assert_eq!(index["endpoints"]["ping"], "/ping");
    let ping = server.send(get("/ping")).await;
    assert_eq!(ping.header("cache-control"), Some("no-store"));
    let ping = ping.json();
    assert!(ping["timestamp"].as_str().unwrap().ends_with('Z'));
    assert!(ping["time_of_last_update"].as_u64().unwrap() > 1_700_000_000);
}

#[tokio::test]
async fn a_request_over_the_concurrency_limit_is_a_503_with_retry_after() {
    let (entered, mut inside) = tokio::sync::mpsc::unbounded_channel();
    let gate = std::sync::Arc::new(tokio::sync::Semaphore::new(0));
    let opening = std::sync::Arc::clone(&gate);
    let app = AgentRuntimeApp::builder()
        .config(config().max_concurrency(2).timeout(Duration::from_secs(30)))
        .entrypoint(move |request: Value| {
            let (entered, gate) = (entered.clone(), std::sync::Arc::clone(&gate));
            async move {
                entered.send(()).unwrap();
                gate.acquire().await.unwrap().forget();
                request
            }
        })
        .build();
    let server = TestServer::start(app).await;
    let mut running = Vec::new();
    for _ in 0..2 {
        let mut connection = server.connect().await;
        connection.write(invocation("1")).await;
        crate::support::with_timeout("the handler's start", inside.recv())
            .await
            .unwrap();
        running.push(connection);
    }
    let mut third = server.connect().await;
    third.write(invocation("1")).await;
    let refused = third.answer().await;
    let error = refused.error(503, "Overloaded");
    assert!(error.contains("already handling 2 requests"), "{error}");
    assert_eq!(refused.header("retry-after"), Some("1"));
    server.assert_alive().await;
    opening.add_permits(3);
    for connection in &mut running {
        assert_eq!(connection.answer().await.result(), 1);
    }
    // Both invocations have ended.
    third.write(invocation("2")).await;
    assert_eq!(third.answer().await.result(), 2);
}
