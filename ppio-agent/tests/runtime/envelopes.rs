//! The format that a response declares, and envelopes that an agent fills.

use crate::support::{Answer, TestServer, config, invocation_with};
use futures_util::stream::{self, Stream};
use ppio::testing::{TestAgent, TestReply};
use ppio::{
    AgentRuntimeApp, Body, Error, InvocationResponse, Json, Next, Reply, Request, Response, Sse,
    SseIter, Value, http, json,
};

const FORMAT: &str = "ppio-response-format";
const SESSION: &str = "x-amzn-bedrock-agentcore-runtime-session-id";

/// Values of an agent that look like an envelope or like the error of a stream.
fn own_values() -> [Value; 5] {
    [
        json!({"status": "completed", "duration": 12, "result": "report.pdf"}),
        json!({"status": "success", "result": 1}),
        json!({
            "result": 1, "status": "success", "duration": 0.1, "metadata": null, "error": null,
        }),
        json!({"result": null, "status": "error", "duration": 0, "error": "own"}),
        json!({"error": "own", "error_type": "Own"}),
    ]
}

type App = Result<AgentRuntimeApp, ppio::StartError>;

fn annotated(module: &str) -> App {
    AgentRuntimeApp::annotated_in(&format!("{}::{module}", module_path!()))
}

/// Returns a builder of an agent that is tested without a socket.
fn builder() -> ppio::AgentRuntimeAppBuilder<()> {
    AgentRuntimeApp::builder()
}

async fn ask(app: App, headers: &[(&str, &str)], body: &Value) -> TestReply {
    let agent = TestAgent::new(app.expect("an agent"));
    let request = agent.request(http::Method::POST, "/invocations");
    let request = headers.iter().fold(request, |request, (name, value)| {
        request.header(name, value)
    });
    request.json(body).send().await
}

fn format(reply: &TestReply) -> Option<&str> {
    reply.headers().get(FORMAT)?.to_str().ok()
}

mod value {
    #[ppio::entrypoint]
    async fn agent(request: ppio::Value) -> ppio::Value {
        request
    }
}

mod blocking_value {
    #[ppio::entrypoint]
    fn agent(request: ppio::Value) -> ppio::Value {
        request
    }
}

mod items {
    #[ppio::entrypoint]
    async fn agent(
        request: Vec<ppio::Value>,
    ) -> impl super::Stream<Item = Result<ppio::Value, ppio::Error>> {
        let failure = ppio::Error::internal("the end").with_type("End");
        let items = request.into_iter().map(Ok).chain([Err(failure)]);
        futures_util::stream::iter(items)
    }
}

#[tokio::test]
async fn the_format_of_a_value_is_announced_and_the_value_is_unchanged() {
    let apps: [fn() -> App; 4] = [
        || annotated("value"),
        || annotated("blocking_value"),
        || builder().entrypoint(async |value: Value| value).build(),
        || builder().entrypoint(|value: Value| Json(value)).build(),
    ];
    for app in apps {
        for own in own_values() {
            let reply = ask(app(), &[(FORMAT, "envelope"), (SESSION, "s")], &own).await;
            assert_eq!(format(&reply), Some("envelope"));
            let envelope: Value = reply.json().await;
            assert_eq!(envelope["result"], own);
            assert_eq!(envelope["status"], "success");
            let reply = ask(app(), &[(FORMAT, "value")], &own).await;
            assert_eq!(format(&reply), Some("value"));
            assert_eq!(reply.json::<Value>().await, own);
        }
    }
}

/// Clients of PPIO and AWS rely on the exact bytes of these responses.
#[tokio::test]
async fn without_a_requested_format_there_is_no_format_header() {
    let app = AgentRuntimeApp::builder()
        .config(config())
        .entrypoint(async |value: Value| match value["fail"].as_str() {
            Some(text) => Err(Error::internal(text)),
            None => Ok(value),
        })
        .build();
    let server = TestServer::start(app).await;
    let send = async |headers: &str, body: &Value| {
        let headers = format!("x-request-id: r-1\r\n{headers}");
        let answer: Answer = server
            .send(invocation_with(&headers, &body.to_string()))
            .await;
        assert_eq!(answer.header(FORMAT), None);
        answer
    };
    let agent_core = format!("{SESSION}: s\r\n");
    for own in own_values() {
        let answer = send("", &own).await;
        let duration = answer.json()["duration"].clone();
        let expected = format!(
            r#"{{"result":{own},"status":"success","duration":{duration},"metadata":{{"request_id":"r-1"}},"error":null}}"#
        );
        assert_eq!(answer.text(), expected);
        assert_eq!(send(&agent_core, &own).await.text(), own.to_string());
    }
    let failing = json!({"fail": "no luck"});
    for headers in ["", &agent_core] {
        let answer = send(headers, &failing).await;
        assert_eq!(answer.error(500, "AgentError"), "no luck");
    }
}

#[tokio::test]
async fn an_envelope_in_a_stream_is_an_ordinary_item() {
    let response = InvocationResponse::success("hi");
    let expected = serde_json::to_string(&response).expect("JSON");
    let app = builder()
        .entrypoint(move |_: Value| {
            let items = [Some(response.clone()), None];
            async move { Sse(stream::iter(items.map(Ok::<_, Error>))) }
        })
        .build();
    let agent = TestAgent::new(app.expect("an agent"));
    let text = agent.invoke(&json!(null)).await.text().await;
    assert_eq!(text, format!("data: {expected}\n\ndata: null\n\n"));
}

#[tokio::test]
async fn the_items_of_a_stream_are_sent_unchanged() {
    let items = own_values();
    let request = json!(items);
    let failing = |items: Vec<Value>| {
        let failure = Error::internal("the end").with_type("End");
        items.into_iter().map(Ok).chain([Err(failure)])
    };
    let builder = || AgentRuntimeApp::builder().config(config());
    let stream = builder()
        .entrypoint(move |items: Vec<Value>| async move { Sse(stream::iter(failing(items))) })
        .build();
    let iterator = builder()
        .entrypoint(move |items: Vec<Value>| SseIter(failing(items)))
        .build();
    for app in [annotated("items"), stream, iterator] {
        let agent = TestAgent::new(app.expect("an agent"));
        let ask = |format: &str| {
            let request = agent.request(http::Method::POST, "/invocations");
            request.header(FORMAT, format)
        };
        for asked in ["envelope", "value"] {
            let reply = ask(asked).json(&request).send().await;
            assert_eq!(format(&reply), Some("events"));
            let text = reply.text().await;
            let (events, end) = text.split_once("event: error\n").expect("a named error");
            assert!(!events.contains("event:"), "{text}");
            let sent = items.iter().map(|item| format!("data: {item}\n\n"));
            let sent = sent.collect::<Vec<_>>().concat();
            assert_eq!(events, sent);
            assert_eq!(
                end,
                "data: {\"error\":\"the end\",\"error_type\":\"End\"}\n\n"
            );
        }
    }
    // Readers that do not request a format read the error as another item.
    let app = builder()
        .entrypoint(move |items: Vec<Value>| SseIter(failing(items)))
        .build();
    let answer = TestServer::start(app)
        .await
        .invoke(&request.to_string())
        .await;
    assert_eq!(answer.header(FORMAT), None);
    assert_eq!(answer.events().len(), items.len() + 1);
}

/// The response of the agents in the next test.
fn filled(request: Value) -> InvocationResponse {
    let mut response = InvocationResponse::success(request);
    response.tokens_used = Some(42);
    response.cost = Some(0.002);
    response.metadata = json!({"model": "m"}).as_object().cloned();
    response
}

mod envelope {
    #[ppio::entrypoint]
    async fn agent(request: ppio::Value) -> ppio::InvocationResponse {
        super::filled(request)
    }
}

mod blocking_envelope {
    #[ppio::entrypoint]
    fn agent(request: ppio::Value) -> Result<ppio::InvocationResponse, String> {
        if request == "impossible" {
            return Err("no envelope".to_owned());
        }
        Ok(super::filled(request))
    }
}

mod replied_envelope {
    use futures_util::stream::Empty;
    use ppio::{InvocationResponse, Reply};

    #[ppio::entrypoint]
    async fn agent(request: ppio::Value) -> Reply<InvocationResponse, Empty<u8>> {
        Reply::Value(super::filled(request))
    }
}

mod optional_envelope {
    #[ppio::entrypoint]
    async fn agent(request: ppio::Value) -> Option<ppio::InvocationResponse> {
        Some(super::filled(request))
    }
}

#[tokio::test]
async fn an_agent_fills_the_envelope() {
    let apps: [fn() -> App; 9] = [
        || annotated("envelope"),
        || annotated("blocking_envelope"),
        || annotated("replied_envelope"),
        || annotated("optional_envelope"),
        || {
            let agent = builder().entrypoint(async |value: Value| filled(value));
            agent.build()
        },
        || builder().entrypoint(|value: Value| filled(value)).build(),
        || {
            let agent = builder().entrypoint(|value: Value| Json(filled(value)));
            agent.build()
        },
        || {
            let agent = builder().entrypoint(async |value: Value| Ok::<_, Error>(filled(value)));
            agent.build()
        },
        || {
            let agent = builder().entrypoint(async |value: Value| {
                Reply::<_, stream::Empty<Result<u8, Error>>>::Value(filled(value))
            });
            agent.build()
        },
    ];
    for app in apps {
        for own in own_values() {
            for headers in [&[][..], &[(FORMAT, "envelope"), (SESSION, "s")]] {
                let reply = ask(app(), headers, &own).await;
                assert_eq!(format(&reply), Some("envelope"));
                assert_eq!(reply.status(), 200);
                let id = reply.headers()["x-request-id"].to_str().map(str::to_owned);
                let response: InvocationResponse = reply.json().await;
                assert_eq!(response.result, Some(own.clone()));
                assert!(response.is_success() && response.extra.is_empty());
                assert_eq!(response.request_id(), id.ok().as_deref());
                let metadata = response.metadata.expect("metadata");
                assert_eq!(metadata["model"], "m");
                assert_eq!(
                    (response.tokens_used, response.cost),
                    (Some(42), Some(0.002))
                );
                let (queued, processed) = (response.queue_time, response.processing_time);
                assert_eq!(queued, Some(0.0));
                assert_eq!(processed, Some(response.duration));
            }
            // A caller that receives the bare value gets the result alone.
            for headers in [[(SESSION, "s")], [(FORMAT, "value")]] {
                let reply = ask(app(), &headers, &own).await;
                assert_eq!(format(&reply), Some("value"));
                assert_eq!(reply.json::<Value>().await, own);
            }
        }
    }
}

#[tokio::test]
async fn an_envelope_with_the_status_error_is_an_error() {
    let app = AgentRuntimeApp::builder()
        .config(config())
        .middleware(async |request: Request, next: Next| {
            let mut response = next.run(request).await;
            let error = response.extensions().get::<Error>().cloned();
            let seen = error.map(|error| format!("{} {error}", error.error_type()));
            let seen = seen.unwrap_or_default().parse().expect("a header");
            response.headers_mut().insert("x-seen", seen);
            response
        })
        .entrypoint(async |tokens: u64| {
            let mut response = InvocationResponse::<Value>::failure("no such city");
            response.error_type = Some("CityError".to_owned());
            response.tokens_used = Some(tokens);
            response
        })
        .build();
    let server = TestServer::start(app).await;
    let session = format!("{SESSION}: s\r\n");
    let asks = format!("{FORMAT}: envelope\r\n");
    for (headers, announced) in [("", None), (&session, None), (&asks, Some("envelope"))] {
        let answer = server.send(invocation_with(headers, "7")).await;
        assert_eq!(answer.error(500, "CityError"), "no such city");
        assert_eq!(answer.json()["tokens_used"], 7);
        assert_eq!(answer.json()["queue_time"], 0.0);
        assert_eq!(answer.header(FORMAT), announced);
        assert_eq!(answer.header("x-seen"), Some("CityError no such city"));
    }
    let failed = "invocations_total{outcome=\"server_error\"}";
    assert_eq!(server.metric(failed).await, 3);
}

/// The second invocation waits in the queue for the only blocking thread.
#[tokio::test]
async fn the_time_in_the_queue_is_not_processing_time() {
    let (release, gate) = std::sync::mpsc::channel::<()>();
    let gate = std::sync::Arc::new(std::sync::Mutex::new(gate));
    let app = AgentRuntimeApp::builder()
        .config(config().blocking_threads(1))
        .entrypoint(move |_: Value| {
            let gate = gate.lock().expect("a lock");
            gate.recv_timeout(crate::support::TIMEOUT)
                .expect("a release");
            InvocationResponse::success(1)
        })
        .build();
    let server = TestServer::start(app).await;
    let mut calls = [server.connect().await, server.connect().await];
    for (index, call) in calls.iter_mut().enumerate() {
        call.write(invocation_with("", "null")).await;
        crate::support::with_timeout("the start", async {
            while server.metric("invocations_running").await <= index as u64 {}
        })
        .await;
    }
    for _ in 0..2 {
        release.send(()).expect("a handler");
    }
    for (call, is_queued) in calls.iter_mut().zip([false, true]) {
        let answer = call.answer().await.json();
        let time = |name: &str| answer[name].as_f64().expect("seconds");
        assert_eq!(time("queue_time") > 0.0, is_queued, "{answer}");
        let parts = time("queue_time") + time("processing_time");
        // Each of the three times is rounded to microseconds.
        assert!((parts - time("duration")).abs() < 2e-6, "{answer}");
    }
}

/// A response of an entrypoint has the format that its header names, and is a value if it has no
/// such header. A response of middleware may have any format, such as an envelope from a cache.
#[tokio::test]
async fn a_user_response_is_a_value_unless_its_header_names_another_format() {
    let own = own_values()[2].to_string();
    let text = own.clone();
    let respond = move |announced: Option<&'static str>| {
        let mut response = Response::new(Body::from(text.clone()));
        let headers = response.headers_mut();
        headers.insert(
            "content-type",
            http::HeaderValue::from_static("application/json"),
        );
        if let Some(format) = announced {
            headers.insert(FORMAT, http::HeaderValue::from_static(format));
        }
        response
    };
    let entrypoint = respond.clone();
    let app = AgentRuntimeApp::builder()
        .config(config())
        .middleware(move |request: Request, next: Next| {
            let respond = respond.clone();
            async move {
                if request.headers().contains_key("x-short") {
                    return respond(None);
                }
                next.run(request).await
            }
        })
        .entrypoint(move |says: bool| {
            let respond = entrypoint.clone();
            async move { respond(says.then_some("envelope")) }
        })
        .build();
    let server = TestServer::start(app).await;
    let asks = format!("{FORMAT}: envelope\r\n");
    let short = format!("{asks}x-short: 1\r\n");
    for (headers, body, announced) in [
        (&asks, "false", Some("value")),
        (&asks, "true", Some("envelope")),
        (&short, "false", None),
        (&String::new(), "false", None),
    ] {
        let answer = server.send(invocation_with(headers, body)).await;
        assert_eq!(answer.header(FORMAT), announced, "{headers}{body}");
        assert_eq!(answer.text(), own);
    }
}

/// Middleware that builds a new response without the headers of the original one. `x-body` selects
/// what happens to the body.
async fn rebuild(request: Request, next: Next) -> Response {
    let change = request.headers().get("x-body").cloned();
    let change = change
        .as_ref()
        .map_or("", |text| text.to_str().expect("text"));
    let (head, body) = next.run(request).await.into_parts();
    let mut response = Response::new(match change {
        "measured" => body.on_end(|_| ()),
        "read" => Body::from(body.bytes().await.expect("a body")),
        _ => body,
    });
    *response.status_mut() = head.status;
    response
}

#[tokio::test]
async fn the_format_is_kept_when_middleware_builds_a_new_response() {
    let builder = || {
        let builder = AgentRuntimeApp::builder().config(config());
        builder.middleware(rebuild)
    };
    let value = builder().entrypoint(async |value: Value| value).build();
    let stream = builder()
        .entrypoint(async |_: Value| Sse(stream::iter([Ok(1), Err("no luck")])))
        .build();
    let own = builder()
        .entrypoint(async |_: Value| Response::new(Body::from("1")))
        .build();
    let filled = builder()
        .entrypoint(async |value: Value| filled(value))
        .build();
    for (app, body, status, announced) in [
        (value, "1", 200, "envelope"),
        (stream, "1", 200, "events"),
        (own, "1", 200, "value"),
        (filled, "nonsense", 400, "envelope"),
    ] {
        let server = TestServer::start(app).await;
        for (change, announced) in [
            ("same", Some(announced)),
            ("measured", Some(announced)),
            // The new body may have any format.
            ("read", None),
        ] {
            let headers = format!("{FORMAT}: envelope\r\nx-body: {change}\r\n");
            let answer = server.send(invocation_with(&headers, body)).await;
            assert_eq!(answer.header(FORMAT), announced, "{change}");
            assert_eq!(answer.status, status);
        }
    }
    // A `TestReply` without the format header is read in the same way as by clients.
    for value in own_values() {
        let app = builder().entrypoint(async |value: Value| value).build();
        let reply = ask(app, &[("x-body", "read")], &value).await;
        assert_eq!(reply.value::<Value>().await, value);
    }
}

#[tokio::test]
async fn an_unknown_format_is_a_400() {
    let server = TestServer::start(crate::support::echo(config())).await;
    for format in ["xml", "events", "", "Envelope", "envelope, value", "\u{e9}"] {
        let headers = format!("{FORMAT}: {format}\r\n");
        let answer = server.send(invocation_with(&headers, "1")).await;
        let text = answer.error(400, "BadRequest");
        assert!(text.contains("PPIO-Response-Format"), "{text}");
        assert!(text.contains("`envelope` or `value`"), "{text}");
    }
    server.assert_alive().await;
}

#[tokio::test]
async fn the_format_header_is_exposed_to_pages() {
    let server = TestServer::start(crate::support::echo(config())).await;
    for (headers, exposed) in [
        ("", "x-request-id"),
        (
            "ppio-response-format: envelope\r\n",
            "x-request-id, ppio-response-format",
        ),
    ] {
        let headers = format!("origin: http://localhost:5173\r\n{headers}");
        let answer = server.send(invocation_with(&headers, "1")).await;
        let header = answer.header("access-control-expose-headers");
        assert_eq!(header, Some(exposed));
    }
}
