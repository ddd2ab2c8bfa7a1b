//! The author's own routes: which paths they serve, and that the agent's limits apply to them.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Extension, Path};
use axum::routing::{any, get as on_get, post};
use futures_util::{StreamExt as _, stream};
use http::StatusCode;
use ppio::{
    AgentRuntimeApp, AgentRuntimeAppBuilder, AgentRuntimeContext, BuilderEntrypoint, ByteSize,
    IntoRoutes, LifecycleError, Next, Request, RequestContext, Response, RuntimeConfig, StartError,
    State, Value,
};
use tokio::net::TcpStream;
use tokio::sync::{Notify, Semaphore};
use tower_service::Service;

use crate::support::{TestServer, config, get, with_timeout};

fn builder(config: RuntimeConfig) -> AgentRuntimeAppBuilder<BuilderEntrypoint> {
    AgentRuntimeApp::builder()
        .config(config)
        .entrypoint(async |request: Value| request)
}

async fn serve(config: RuntimeConfig, routes: impl IntoRoutes) -> TestServer {
    TestServer::start(builder(config).routes(routes).build()).await
}

/// A request without a body.
fn request(method: &str, path: &str, headers: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\n{headers}\r\n")
}

fn post_to(path: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    let headers = format!("content-length: {length}\r\n{headers}");
    request("POST", path, &headers) + body
}

/// Waits until no request of a route runs.
async fn idle(server: &TestServer) {
    with_timeout("the end of every request", async {
        while server.metric("route_requests_running").await > 0 {}
    })
    .await;
}

async fn ended(server: &TestServer, end: &str) -> u64 {
    let name = format!("route_requests_total{{outcome=\"{end}\"}}");
    server.metric(&name).await
}

#[tokio::test]
async fn the_agents_paths_take_precedence() {
    let mine = || any(async || "mine");
    let router = Router::new()
        .route("/", mine())
        .route("/ping", mine())
        .route("/metrics", mine())
        .route("/invocations", mine())
        .route("/invocations/{id}", mine())
        .route("/invocations/{id}/events", mine())
        .route(
            "/hello/{name}",
            on_get(async |Path(name): Path<String>| name),
        )
        .fallback(async || (StatusCode::NOT_FOUND, "not here"));
    let server = serve(config(), router.clone()).await;
    for (method, path, status, body) in [
        ("GET", "/hello/ann", 200, Some("ann")),
        ("GET", "/hello/ann?name=bob", 200, Some("ann")),
        ("POST", "/hello/ann", 405, Some("")),
        ("OPTIONS", "/hello/ann", 405, Some("")),
        ("GET", "/missing", 404, Some("not here")),
        ("GET", "/ping/", 404, Some("not here")),
        ("GET", "/", 200, None),
        ("POST", "/", 405, None),
        ("GET", "/ping", 200, None),
        ("DELETE", "/ping", 405, None),
        ("GET", "/metrics", 200, None),
        ("PUT", "/metrics", 405, None),
        ("GET", "/invocations", 403, None),
        ("PUT", "/invocations", 405, None),
        ("GET", "/invocations/x", 404, None),
        ("PUT", "/invocations/x", 405, None),
        ("GET", "/invocations/x/events", 404, None),
        ("OPTIONS", "/ping", 204, None),
    ] {
        let answer = server.send(request(method, path, "")).await;
        assert_eq!(answer.status, status, "{method} {path}");
        assert!(answer.header("x-request-id").is_some(), "{method} {path}");
        match body {
            Some(body) => assert_eq!(answer.text(), body, "{method} {path}"),
            None => assert_ne!(answer.text(), "mine", "{method} {path}"),
        }
    }
    assert_eq!(ended(&server, "success").await, 2);
    assert_eq!(ended(&server, "client_error").await, 4);
    assert_eq!(server.metric("invocations_running").await, 0);

    let server = serve(config().enable_metrics(false), router).await;
    let answer = server.send(get("/metrics")).await;
    assert_eq!(answer.text(), "mine");
}

#[tokio::test]
async fn a_route_has_the_context_of_its_request() {
    async fn session(Extension(context): Extension<RequestContext>) -> String {
        let current = AgentRuntimeContext::current().expect("a context");
        assert_eq!(current.request_id(), context.request_id());
        assert_eq!(context.header("x-own"), Some("yes"));
        assert!(context.deadline().is_some());
        format!("{} {:?}", context.request_id(), context.session_id())
    }
    let server = serve(config(), Router::new().route("/session", on_get(session))).await;
    let headers = "x-own: yes\r\nx-request-id: r-1\r\n\
                   x-amzn-bedrock-agentcore-runtime-session-id: s-1\r\n\
                   ppio-response-format: envelope\r\n";
    let answer = server.send(request("GET", "/session", headers)).await;
    assert_eq!(answer.text(), "r-1 Some(\"s-1\")");
    assert_eq!(answer.header("x-request-id"), Some("r-1"));
    // The runtime does not add the format header to the response of a route.
    assert_eq!(answer.header("ppio-response-format"), None);
}

#[tokio::test]
async fn the_limits_of_request_bodies_apply_to_routes() {
    let router = Router::new()
        .route("/length", post(async |body: Bytes| body.len().to_string()))
        .route("/ignore", post(async || "ignored"));
    let config = config()
        .max_request_size(ByteSize::new(8))
        .body_timeout(Duration::from_millis(50));
    let server = serve(config, router).await;
    let chunked = |body: &str| {
        let headers = "transfer-encoding: chunked\r\n";
        let size = body.len();
        request("POST", "/length", headers) + &format!("{size:x}\r\n{body}\r\n0\r\n\r\n")
    };
    let unfinished = request("POST", "/length", "content-length: 4\r\n") + "12";
    let too_large = "RequestTooLarge";
    for (request, expected) in [
        (post_to("/length", "", "12345678"), Ok("8")),
        (chunked("12345678"), Ok("8")),
        (post_to("/length", "", ""), Ok("0")),
        (post_to("/ignore", "", "123456789"), Ok("ignored")),
        (post_to("/length", "", "123456789"), Err((413, too_large))),
        (chunked("123456789"), Err((413, too_large))),
        (unfinished, Err((408, "RequestTimeout"))),
    ] {
        let answer = server.send(&request).await;
        match expected {
            Ok(text) => assert_eq!((answer.status, answer.text()), (200, text), "{request}"),
            Err((status, error_type)) => {
                answer.error(status, error_type);
            }
        }
    }
    server.assert_alive().await;
}

#[tokio::test]
async fn deadlines_apply_to_routes() {
    let silent = || async { std::future::pending::<()>().await };
    let router = Router::new().route("/never", on_get(silent)).route(
        "/stream",
        on_get(async || {
            let first = stream::once(async { Ok::<_, Infallible>("first") });
            axum::body::Body::from_stream(first.chain(stream::pending()))
        }),
    );
    let server = serve(config().timeout(Duration::from_millis(50)), router.clone()).await;
    server.send(get("/never")).await.error(504, "Timeout");

    let server = serve(config(), router).await;
    let timeout = "ppio-timeout: 1\r\n";
    let answer = server.send(request("GET", "/never", timeout)).await;
    answer.error(504, "Timeout");
    let mut connection = server.connect().await;
    connection.write(request("GET", "/stream", timeout)).await;
    assert_eq!(connection.head().await.status, 200);
    assert_eq!(connection.chunk().await.as_deref(), Some(&b"first"[..]));
    connection.assert_closed().await;
    idle(&server).await;
    assert_eq!(ended(&server, "timeout").await, 2);
}

#[tokio::test]
async fn a_panic_of_a_route_is_a_500() {
    let router = Router::new()
        .route("/late", on_get(async || -> &str { panic!("boom") }))
        .route("/fine", on_get(async || "fine"));
    let server = serve(config(), router).await;
    let mut connection = server.connect().await;
    for _ in 0..2 {
        connection.write(get("/late")).await;
        let answer = connection.answer().await;
        let error = answer.error(500, "Panic");
        assert!(!error.contains("boom"), "{error}");
    }
    connection.write(get("/fine")).await;
    assert_eq!(connection.answer().await.text(), "fine");
    assert_eq!(ended(&server, "server_error").await, 2);
}

/// A service that is not `Sync`, becomes ready late, and responds as the path selects.
#[derive(Clone)]
struct Scripted {
    waits: std::cell::Cell<u32>,
}

impl Service<Request> for Scripted {
    type Response = http::Response<String>;
    type Error = ppio::BoxError;
    type Future = std::future::Ready<Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        if self.waits.get() == 0 {
            return Poll::Ready(Ok(()));
        }
        self.waits.set(self.waits.get() - 1);
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn call(&mut self, request: Request) -> Self::Future {
        assert_eq!(self.waits.get(), 0, "called before the service is ready");
        std::future::ready(match request.uri().path() {
            "/panic" => panic!("boom in `call`"),
            "/chosen" => Err(ppio::Error::not_found("no such thing").into()),
            "/any" => Err("broken".into()),
            path => Ok(http::Response::new(path.to_owned())),
        })
    }
}

#[tokio::test]
async fn any_tower_service_can_be_mounted() {
    let waits = std::cell::Cell::new(3);
    let server = serve(config(), Scripted { waits }).await;
    let answer = server.send(get("/text")).await;
    assert_eq!(answer.text(), "/text");
    server.send(get("/panic")).await.error(500, "Panic");
    let error = server.send(get("/chosen")).await.error(404, "NotFound");
    assert_eq!(error, "no such thing");
    let error = server.send(get("/any")).await.error(500, "AgentError");
    assert_eq!(error, "broken");
}

#[tokio::test]
async fn a_client_that_disconnects_cancels_a_route() {
    struct OnDrop(Arc<Notify>);
    impl Drop for OnDrop {
        fn drop(&mut self) {
            self.0.notify_one();
        }
    }
    let (started, dropped) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let router = Router::new().route(
        "/wait",
        on_get({
            let (started, dropped) = (Arc::clone(&started), Arc::clone(&dropped));
            async move || {
                let _guard = OnDrop(dropped);
                started.notify_one();
                std::future::pending::<()>().await;
            }
        }),
    );
    let server = serve(config(), router).await;
    let mut connection = server.connect().await;
    connection.write(get("/wait")).await;
    with_timeout("the start", started.notified()).await;
    drop(connection);
    with_timeout("the drop", dropped.notified()).await;
    idle(&server).await;
    assert_eq!(ended(&server, "cancelled").await, 1);
}

/// A route that answers when `gate` has a permit.
fn gated(gate: &Arc<Semaphore>) -> Router {
    let gate = Arc::clone(gate);
    Router::new().route(
        "/gated",
        on_get(async move || {
            gate.acquire().await.expect("an open gate").forget();
            "open"
        }),
    )
}

#[tokio::test]
async fn a_shutdown_waits_for_a_route() {
    let gate = Arc::new(Semaphore::new(0));
    let mut server = serve(config(), gated(&gate)).await;
    let mut connection = server.connect().await;
    connection.write(get("/gated")).await;
    with_timeout("a running request", async {
        while server.metric("route_requests_running").await < 1 {}
    })
    .await;
    server.begin_shutdown();
    with_timeout("the end of listening", async {
        while TcpStream::connect(server.address).await.is_ok() {}
    })
    .await;
    gate.add_permits(1);
    let answer = connection.answer().await;
    assert_eq!(answer.text(), "open");
    assert_eq!(answer.header("connection"), Some("close"));
    server.ended().await;
}

#[tokio::test]
async fn a_long_request_of_a_route_makes_the_agent_busy() {
    let gate = Arc::new(Semaphore::new(0));
    let server = serve(config().busy_after(Duration::from_millis(1)), gated(&gate)).await;
    let status = async || server.send(get("/ping")).await.json()["status"].clone();
    let mut connection = server.connect().await;
    connection.write(get("/gated")).await;
    with_timeout("a busy agent", async {
        while status().await != "HealthyBusy" {}
    })
    .await;
    gate.add_permits(1);
    assert_eq!(connection.answer().await.status, 200);
    with_timeout("a healthy agent", async {
        while status().await != "Healthy" {}
    })
    .await;
}

#[tokio::test]
async fn pages_and_hosts_are_checked_as_for_invocations() {
    let router = Router::new().route("/text", any(async || "text"));
    let server = serve(config().cors_origins(["https://app.example"]), router).await;
    let head_of = |method: &str, host: &str, headers: &str| {
        format!("{method} /text HTTP/1.1\r\nhost: {host}\r\n{headers}\r\n")
    };
    let (page, foreign) = (
        "origin: https://app.example\r\n",
        "origin: https://evil.example\r\n",
    );
    for method in ["GET", "HEAD", "POST", "DELETE", "OPTIONS"] {
        for (headers, status, allowed) in [
            ("", 200, None),
            (page, 200, Some("https://app.example")),
            // A route may have side effects, even for a `GET`.
            (foreign, 403, None),
        ] {
            let mut connection = server.connect().await;
            let request = head_of(method, "localhost", headers);
            connection.write(&request).await;
            let head = connection.head().await;
            assert_eq!(head.status, status, "{request}");
            let found = head.header("access-control-allow-origin");
            assert_eq!(found, allowed, "{request}");
        }
    }
    let send = async |method: &str, host: &str, headers: &str| {
        server.send(head_of(method, host, headers)).await
    };
    let preflight = "access-control-request-method: PATCH\r\n\
                     access-control-request-headers: x-own\r\n";
    let answer = send("OPTIONS", "localhost", &format!("{page}{preflight}")).await;
    assert_eq!(answer.status, 204);
    assert_eq!(answer.header("access-control-allow-methods"), Some("PATCH"));
    assert_eq!(answer.header("access-control-allow-headers"), Some("x-own"));
    let answer = send("OPTIONS", "localhost", &format!("{foreign}{preflight}")).await;
    answer.error(403, "OriginNotAllowed");
    let answer = send("GET", "agent.example", "").await;
    answer.error(421, "HostNotAllowed");
}

#[tokio::test]
async fn only_middleware_for_all_routes_runs_around_a_route() {
    async fn mark(request: Request, next: Next, mark: &'static str) -> Response {
        let mut response = next.run(request).await;
        let mark = http::HeaderValue::from_static(mark);
        response.headers_mut().append("x-ran", mark);
        response
    }
    let app = builder(config())
        .middleware(|request, next| mark(request, next, "invocations"))
        .middleware_for_all_routes(|mut request: Request, next| {
            request.extensions_mut().insert("ann");
            mark(request, next, "all")
        })
        .routes(Router::new().route(
            "/user",
            on_get(async |Extension(user): Extension<&'static str>| user),
        ))
        .build();
    let server = TestServer::start(app).await;
    let answer = server.send(get("/user")).await;
    assert_eq!(answer.text(), "ann");
    assert_eq!(answer.header("x-ran"), Some("all"));
}

#[tokio::test]
async fn routes_take_states() {
    struct Named(&'static str);
    let app = builder(config())
        .startup(async || Ok::<_, Infallible>(Named("ann")))
        .routes_with_state(|name: State<Named>| {
            Router::new().route("/name", on_get(async move || name.0.0))
        })
        .build();
    let server = TestServer::start(app).await;
    assert_eq!(server.send(get("/name")).await.text(), "ann");

    let app = builder(config())
        .routes_with_state(|_: State<Named>| Router::new())
        .build();
    match app.map(drop) {
        Err(StartError::Lifecycle(LifecycleError::NoState { state, function })) => {
            assert!(state.ends_with("Named"), "{state}");
            assert_eq!(function, "the routes function of the builder");
        }
        other => panic!("not a missing state: {other:?}"),
    }
}
