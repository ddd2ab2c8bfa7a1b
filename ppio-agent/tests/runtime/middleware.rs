//! Middleware runs around its routes and can replace requests and responses.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::support::{Answer, TestServer, config, eventually, get, invocation, invocation_with};
use futures_util::{StreamExt as _, stream};
use ppio::{
    AgentRuntimeApp, Body, BodyEnd, ByteSize, Error, Next, Request, RequestContext, Response, Sse,
    Value, http, json,
};
use tokio::sync::mpsc::unbounded_channel;

/// The recorded events, in order.
#[derive(Clone, Default)]
struct Story(Arc<Mutex<Vec<String>>>);

impl Story {
    fn add(&self, line: impl Into<String>) {
        self.0.lock().expect("a lock").push(line.into());
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().expect("a lock"))
    }

    /// Returns middleware that records the request and the response.
    fn around(
        &self,
        name: &'static str,
    ) -> impl Fn(Request, Next) -> std::pin::Pin<Box<dyn Future<Output = Response> + Send>>
    + Send
    + Sync
    + 'static {
        let story = self.clone();
        move |request, next| {
            let story = story.clone();
            Box::pin(async move {
                let path = request.uri().path().to_owned();
                story.add(format!("{name} in {path}"));
                let response = next.run(request).await;
                story.add(format!("{name} out {}", response.status().as_u16()));
                response
            })
        }
    }
}

#[tokio::test]
async fn the_first_middleware_is_outermost() {
    let story = Story::default();
    let app = AgentRuntimeApp::builder()
        .config(config())
        .middleware(story.around("first"))
        .middleware(story.around("second"))
        .entrypoint({
            let story = story.clone();
            move |request: Value| {
                story.add("entrypoint");
                async { request }
            }
        })
        .build();
    let server = TestServer::start(app).await;
    assert_eq!(server.invoke("1").await.result(), 1);
    let way = [
        "first in /invocations",
        "second in /invocations",
        "entrypoint",
        "second out 200",
        "first out 200",
    ];
    assert_eq!(story.take(), way);
}

#[tokio::test]
async fn middleware_wraps_invocations_or_all_routes() {
    let story = Story::default();
    let app = AgentRuntimeApp::builder()
        .config(config())
        .middleware_for_all_routes(story.around("all"))
        .middleware(story.around("one"))
        .entrypoint(|request: Value| async { request })
        .build();
    let server = TestServer::start(app).await;
    for (path, status) in [
        ("/ping", 200),
        ("/", 200),
        ("/metrics", 200),
        ("/nope", 404),
    ] {
        assert_eq!(server.send(get(path)).await.status, status);
        let way = [format!("all in {path}"), format!("all out {status}")];
        assert_eq!(story.take(), way);
    }
    // Middleware also runs around the refusal of a wrong method.
    let request = get("/invocations").replacen("GET", "PUT", 1);
    assert_eq!(server.send(request).await.status, 405);
    let way = [
        "all in /invocations",
        "one in /invocations",
        "one out 405",
        "all out 405",
    ];
    assert_eq!(story.take(), way);
    // A preflight has no credentials, so middleware must not refuse it.
    let preflight = "OPTIONS /invocations HTTP/1.1\r\nhost: localhost\r\norigin: https://a.example\r\n\
                     access-control-request-method: POST\r\n\r\n";
    assert_eq!(server.send(preflight).await.status, 204);
    assert_eq!(story.take(), [""; 0]);
}

#[tokio::test]
async fn middleware_receives_the_response_that_is_sent() {
    let story = Story::default();
    let app = AgentRuntimeApp::builder()
        .config(config().max_request_size(ByteSize::new(100)))
        .middleware(story.around("it"))
        .entrypoint(async |text: String| match text.as_str() {
            "fail" => Err(Error::internal("no luck")),
            "panic" => panic!("boom"),
            _ => Ok(text),
        })
        .build();
    let server = TestServer::start(app).await;
    let long = format!("\"{}\"", "x".repeat(100));
    for (body, status) in [
        ("\"fine\"", 200),
        ("1", 422),
        ("nope", 400),
        ("\"fail\"", 500),
        ("\"panic\"", 500),
        (&long, 413),
    ] {
        assert_eq!(server.invoke(body).await.status, status, "{body}");
        assert_eq!(story.take()[1], format!("it out {status}"));
    }
}

#[tokio::test]
async fn middleware_can_respond_without_the_entrypoint() {
    let story = Story::default();
    let app = AgentRuntimeApp::builder()
        .config(config())
        .middleware(async |request: Request, next: Next| {
            match request
                .headers()
                .get("x-way")
                .map(|way| way.to_str().unwrap())
            {
                Some("response") => {
                    let mut response = Response::new("a teapot".into());
                    *response.status_mut() = http::StatusCode::IM_A_TEAPOT;
                    Ok(response)
                }
                Some("forbidden") => Err(Error::forbidden("not you").with_type("NotYou")),
                Some("internal") => {
                    let source = std::io::Error::other("the disk is full");
                    Err(Error::internal("cannot look up the user").with_source(source))
                }
                _ => Ok(next.run(request).await),
            }
        })
        .entrypoint({
            let story = story.clone();
            move |request: Value| {
                story.add("entrypoint");
                async { request }
            }
        })
        .build();
    let server = TestServer::start(app).await;
    let ask = async |way: &str| {
        let header = format!("x-way: {way}\r\n");
        server.send(invocation_with(&header, "1")).await
    };
    let own = ask("response").await;
    assert_eq!((own.status, own.text()), (418, "a teapot"));
    assert!(own.header("x-request-id").is_some());
    assert_eq!(ask("forbidden").await.error(403, "NotYou"), "not you");
    // The text of the error's source is only logged.
    let hidden = ask("internal").await.error(500, "AgentError");
    assert_eq!(hidden, "cannot look up the user");
    assert_eq!(story.take(), [""; 0]);
    assert_eq!(ask("on").await.result(), 1);
    assert_eq!(story.take(), ["entrypoint"]);
}

#[tokio::test]
async fn an_error_of_middleware_is_a_500() {
    let app = AgentRuntimeApp::builder()
        .config(config())
        .middleware(
            async |_: Request, _: Next| -> Result<Response, std::num::ParseIntError> {
                "x".parse::<u8>().map(|_| Response::default())
            },
        )
        .entrypoint(|request: Value| async { request })
        .build();
    let server = TestServer::start(app).await;
    let text = server.invoke("1").await.error(500, "ParseIntError");
    assert_eq!(text, "invalid digit found in string");
}

#[tokio::test]
async fn middleware_can_replace_the_request() {
    let app = AgentRuntimeApp::builder()
        .config(config())
        .middleware(async |request: Request, next: Next| {
            let (mut head, body) = request.into_parts();
            let body = body.bytes().await?;
            let mut value: Value = serde_json::from_slice(&body)?;
            value["seen"] = json!(true);
            head.headers.insert("x-tenant", "t-1".parse()?);
            let body = Body::from(serde_json::to_vec(&value)?);
            let request = Request::from_parts(head, body);
            Ok::<_, ppio::BoxError>(next.run(request).await)
        })
        .entrypoint(|request: Value, context: RequestContext| async move {
            json!([request, context.header("x-tenant")])
        })
        .build();
    let server = TestServer::start(app).await;
    let result = server.invoke("{\"a\":1}").await.result();
    assert_eq!(result, json!([{ "a": 1, "seen": true }, "t-1"]));
}

#[tokio::test]
async fn middleware_can_replace_the_response() {
    let app = AgentRuntimeApp::builder()
        .config(config())
        .middleware(async |request: Request, next: Next| {
            let response = next.run(request).await;
            let (mut head, body) = response.into_parts();
            let text = String::from_utf8(body.bytes().await?.into()).unwrap_or_default();
            head.headers
                .insert("x-served-by", http::HeaderValue::from_static("me"));
            let body = text.replace("secret", "******").into();
            Ok::<_, Error>(Response::from_parts(head, body))
        })
        .entrypoint(|request: Value| async { request })
        .build();
    let server = TestServer::start(app).await;
    let answer = server.invoke("\"a secret\"").await;
    assert_eq!(answer.header("x-served-by"), Some("me"));
    assert_eq!(answer.result(), "a ******");
    let stream = server.invoke("[]").await;
    assert_eq!(stream.result(), json!([]));
}

#[derive(Clone, Debug, PartialEq)]
struct User(&'static str);

#[tokio::test]
async fn middleware_can_pass_a_value_to_the_entrypoint() {
    let app = AgentRuntimeApp::builder()
        .config(config())
        .middleware(async |mut request: Request, next: Next| {
            request.extensions_mut().insert(User("ada"));
            next.run(request).await
        })
        .entrypoint(|_: Value, context: RequestContext| {
            assert_eq!(context.extension(), Some(&User("ada")));
            assert_eq!(context.extension::<u8>(), None);
        })
        .build();
    let server = TestServer::start(app).await;
    assert_eq!(server.invoke("1").await.result(), Value::Null);
}

/// The limits of a request apply to middleware that reads its body as well.
#[tokio::test]
async fn middleware_reads_the_body_within_the_limits() {
    let app = AgentRuntimeApp::builder()
        .config(
            config()
                .max_request_size(ByteSize::new(10))
                .body_timeout(Duration::from_millis(50)),
        )
        .middleware(async |request: Request, next: Next| {
            let (head, body) = request.into_parts();
            let body = body.bytes().await?;
            Ok::<_, Error>(next.run(Request::from_parts(head, body.into())).await)
        })
        .entrypoint(|request: Value| async { request })
        .build();
    let server = TestServer::start(app).await;
    assert_eq!(server.invoke("\"12345678\"").await.result(), "12345678");
    server
        .invoke("\"123456789\"")
        .await
        .error(413, "RequestTooLarge");
    let mut slow = server.connect().await;
    let request = invocation("12345");
    slow.write(&request[..request.len() - 1]).await;
    slow.answer().await.error(408, "RequestTimeout");
    server.assert_alive().await;
}

#[tokio::test]
async fn disabled_middleware_does_not_run() {
    let story = Story::default();
    let app = AgentRuntimeApp::builder()
        .config(config().enable_middleware(false))
        .middleware_for_all_routes(story.around("it"))
        .entrypoint(|request: Value| async { request })
        .build();
    let server = TestServer::start(app).await;
    assert_eq!(server.invoke("1").await.result(), 1);
    assert_eq!(server.send(get("/ping")).await.status, 200);
    assert_eq!(story.take(), [""; 0]);
}

/// The responses are a stream that ends, a stream that fails, and an error.
#[tokio::test]
async fn middleware_can_measure_a_whole_stream() {
    const STEP: Duration = Duration::from_millis(20);
    let (end, mut ends) = unbounded_channel();
    let app = AgentRuntimeApp::builder()
        .config(config())
        .middleware(move |request: Request, next: Next| {
            let end = end.clone();
            async move {
                let started = Instant::now();
                let response = next.run(request).await;
                let head = started.elapsed();
                response.map(|body| {
                    body.on_end(move |how| {
                        end.send((how, head, started.elapsed())).expect("a reader");
                    })
                })
            }
        })
        .entrypoint(|fails: bool| async move {
            let items = stream::iter(0..5).then(move |number| async move {
                tokio::time::sleep(STEP).await;
                if fails && number == 4 {
                    Err("no luck")
                } else {
                    Ok(number)
                }
            });
            Sse(items)
        })
        .build();
    let server = TestServer::start(app).await;
    for fails in [false, true] {
        let answer: Answer = server.invoke(&fails.to_string()).await;
        assert_eq!(answer.events().len(), 5);
        let (how, head, whole) = ends.recv().await.expect("an end");
        // A failed stream ends with an error item, so its body is complete.
        assert_eq!(how, BodyEnd::Complete);
        assert!(whole >= 5 * STEP, "{whole:?}");
        assert!(head + 3 * STEP < whole, "{head:?} of {whole:?}");
    }
    server.invoke("nope").await.error(400, "InvalidJson");
    let (how, ..) = ends.recv().await.expect("an end");
    assert_eq!(how, BodyEnd::Complete);
}

#[tokio::test]
async fn middleware_wraps_a_health_check() {
    let story = Story::default();
    let app = AgentRuntimeApp::builder()
        .config(config())
        .middleware_for_all_routes(story.around("all"))
        .ping(async || Err::<ppio::PingStatus, _>("no database"))
        .entrypoint(|request: Value| async { request })
        .build();
    let server = TestServer::start(app).await;
    let ping = server.send(get("/ping")).await;
    assert_eq!(
        (ping.status, &ping.json()["message"]),
        (500, &json!("no database"))
    );
    eventually("the end of the middleware", || {
        story.0.lock().expect("a lock").len() == 2
    })
    .await;
    assert_eq!(story.take()[1], "all out 500");
}

/// The errors are those of the runtime before and after the handler, of the handler, of other
/// middleware and of a health check.
#[tokio::test]
async fn middleware_can_read_the_error_of_a_response() {
    let story = Story::default();
    let seen = story.clone();
    let app = AgentRuntimeApp::builder()
        .config(config().max_request_size(ByteSize::new(100)))
        .middleware_for_all_routes(move |request: Request, next: Next| {
            let story = seen.clone();
            async move {
                let response = next.run(request).await;
                let status = response.status();
                story.add(match response.extensions().get::<Error>() {
                    Some(error) => {
                        assert_eq!(error.status(), status);
                        format!("{} {error}", error.error_type())
                    }
                    None => format!("none {}", status.as_u16()),
                });
                response
            }
        })
        .middleware(async |request: Request, next: Next| {
            if request.headers().contains_key("x-refuse") {
                return Err(Error::forbidden("not you").with_type("NotYou"));
            }
            Ok(next.run(request).await)
        })
        .ping(async || Err::<ppio::PingStatus, _>("no database"))
        .entrypoint(async |text: String| match text.as_str() {
            "fail" => Err(Error::not_found("no luck").with_source("hidden")),
            "panic" => panic!("secret"),
            "own" => {
                let mut response = Response::new("a teapot".into());
                *response.status_mut() = http::StatusCode::IM_A_TEAPOT;
                Ok(response)
            }
            _ => Ok(Response::new(text.into())),
        })
        .build();
    let server = TestServer::start(app).await;
    let long = invocation(&format!("\"{}\"", "x".repeat(100)));
    for (request, expected) in [
        (invocation("\"fine\""), "none 200"),
        (invocation("\"own\""), "none 418"),
        (invocation("\"fail\""), "NotFound no luck"),
        (invocation("\"panic\""), "Panic the agent panicked"),
        (invocation("nope"), "InvalidJson "),
        (invocation("1"), "ValidationError "),
        (long, "RequestTooLarge "),
        (invocation_with("x-refuse: 1\r\n", "1"), "NotYou not you"),
        (
            get("/invocations").replacen("GET", "PUT", 1),
            "MethodNotAllowed ",
        ),
        (get("/nope"), "NotFound no route for /nope"),
        (get("/ping"), "HealthCheckFailed no database"),
        (get("/metrics"), "none 200"),
    ] {
        server.send(request).await;
        let line = story.take().pop().expect("a line");
        assert!(line.starts_with(expected), "{line} instead of {expected}");
    }
}

/// The documentation of `middleware` lists these headers.
#[tokio::test]
async fn only_documented_headers_of_middleware_take_effect() {
    let app = AgentRuntimeApp::builder()
        .config(config())
        .middleware(|mut request: Request, next: Next| async move {
            for (name, value) in [
                ("ppio-timeout", "1"),
                ("ppio-response-format", "value"),
                ("x-request-id", "of-middleware"),
                (
                    "x-amzn-bedrock-agentcore-runtime-session-id",
                    "of-middleware",
                ),
                ("idempotency-key", "of-middleware"),
            ] {
                let value = http::HeaderValue::from_static(value);
                request.headers_mut().insert(name, value);
            }
            next.run(request).await
        })
        .entrypoint(|_: Value, context: RequestContext| async move {
            json!({
                "session": context.session_id(),
                "limited": context.deadline().is_some_and(|at| at < Instant::now() + Duration::from_secs(2)),
                "id": context.request_id(),
                "timeout": context.headers().get("ppio-timeout").is_some(),
            })
        })
        .build();
    let server = TestServer::start(app).await;
    let own = "x-request-id: own\r\n";
    let answer = server.send(invocation_with(own, "1")).await;
    assert_eq!(answer.header("ppio-response-format"), None);
    assert_eq!(answer.header("ppio-idempotency"), Some("supported"));
    assert_eq!(
        answer.result(),
        json!({"session": "of-middleware", "limited": false, "id": "own", "timeout": true})
    );
}
