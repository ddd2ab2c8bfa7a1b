//! The context of a request is set in all user code that runs for the request, and nowhere else.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use crate::support::{TestServer, config, eventually, get, invocation_with};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use http_body::Frame;
use ppio::{
    AgentRuntimeApp, AgentRuntimeContext, Body, Json, RequestContext, Response, Sse, SseIter,
    StartError, Value,
};
use serde::{Serialize, Serializer};

/// Where the context was read, with the ids of the request and the session in it.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<(&'static str, String)>>>);

impl Seen {
    fn at(&self, place: &'static str) {
        let ids = AgentRuntimeContext::current().map_or("none".to_owned(), |context| {
            let session = context.session_id().unwrap_or("-");
            format!("{} {session}", context.request_id())
        });
        self.0.lock().expect("a lock").push((place, ids));
    }

    fn has(&self, place: &str) -> bool {
        let seen = self.0.lock().expect("a lock");
        seen.iter().any(|(at, _)| *at == place)
    }

    /// Returns a guard that records the context when the guard is dropped.
    fn guard(&self, place: &'static str) -> Guard {
        Guard(self.clone(), place)
    }
}

struct Guard(Seen, &'static str);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.at(self.1);
    }
}

/// Calls the agent once, and checks that the context was read at all of `places` and at no other
/// place, with the ids of the call. Disconnects from an endless stream after its first item.
async fn assert_seen(app: Result<AgentRuntimeApp, StartError>, seen: &Seen, places: &[&str]) {
    let server = TestServer::start(app).await;
    let mut connection = server.connect().await;
    let request = invocation_with("x-request-id: r-1\r\n", "{\"sandbox_id\":\"s-1\"}");
    connection.write(request).await;
    let head = connection.head().await;
    assert_eq!(head.status, 200);
    if head.header("transfer-encoding").is_some() {
        assert!(connection.chunk().await.is_some());
        drop(connection);
    }
    eventually("every place", || places.iter().all(|it| seen.has(it))).await;
    server.idle().await;
    for (place, ids) in seen.0.lock().expect("a lock").iter() {
        assert!(places.contains(place), "{place}");
        assert_eq!(ids, "r-1 s-1", "{place}");
    }
    assert!(AgentRuntimeContext::current().is_none());
}

#[tokio::test]
async fn the_context_is_set_in_an_async_function_and_its_task() {
    let seen = Seen::default();
    let app = AgentRuntimeApp::builder()
        .config(config())
        .entrypoint({
            let seen = seen.clone();
            move |_: Value| {
                let seen = seen.clone();
                async move {
                    let _guard = seen.guard("its end");
                    seen.at("before an await");
                    tokio::task::yield_now().await;
                    seen.at("after an await");
                    let task = ppio::task::spawn("test", {
                        let seen = seen.clone();
                        async move { seen.at("a task") }
                    });
                    task.await.expect("a task that ends");
                }
            }
        })
        .build();
    let places = ["before an await", "after an await", "a task", "its end"];
    assert_seen(app, &seen, &places).await;
}

/// A value that records the context when it is written.
struct Written(Seen);

impl Serialize for Written {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.at("Serialize");
        serializer.serialize_unit()
    }
}

#[tokio::test]
async fn the_context_is_set_in_a_synchronous_function_and_its_serialize() {
    let seen = Seen::default();
    let app = AgentRuntimeApp::builder()
        .config(config())
        .entrypoint({
            let seen = seen.clone();
            move |_: Value| {
                seen.at("a thread");
                Json(Written(seen.clone()))
            }
        })
        .build();
    assert_seen(app, &seen, &["a thread", "Serialize"]).await;
}

fn items(seen: Seen, guard: Guard) -> impl Iterator<Item = Result<u32, Infallible>> + Send {
    (0..).map(move |number| {
        let _held = &guard;
        seen.at("an item");
        Ok(number)
    })
}

#[tokio::test]
async fn the_context_is_set_in_a_stream_and_its_drop() {
    let seen = Seen::default();
    let app = AgentRuntimeApp::builder()
        .config(config())
        .entrypoint({
            let seen = seen.clone();
            move |_: Value| {
                let items = items(seen.clone(), seen.guard("its end"));
                async move { Sse(stream::iter(items)) }
            }
        })
        .build();
    assert_seen(app, &seen, &["an item", "its end"]).await;
}

#[tokio::test]
async fn the_context_is_set_in_an_iterator_and_its_drop() {
    let seen = Seen::default();
    let app = AgentRuntimeApp::builder()
        .config(config())
        .entrypoint({
            let seen = seen.clone();
            move |_: Value| SseIter(items(seen.clone(), seen.guard("its end")))
        })
        .build();
    assert_seen(app, &seen, &["an item", "its end"]).await;
}

/// A user body.
struct OwnBody<S>(S);

impl<S: Stream<Item = Bytes> + Unpin> http_body::Body for OwnBody<S> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let next = self.0.poll_next_unpin(cx);
        next.map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }
}

fn own_response(seen: &Seen) -> Response {
    let items = items(seen.clone(), seen.guard("its end"));
    let bytes = stream::iter(items.map(|_| Bytes::from_static(b"x")));
    Response::new(Body::new(OwnBody(bytes)))
}

#[tokio::test]
async fn the_context_is_set_in_the_body_of_a_user_response() {
    let seen = Seen::default();
    let app = AgentRuntimeApp::builder()
        .config(config())
        .entrypoint({
            let seen = seen.clone();
            move |_: Value| {
                let response = own_response(&seen);
                async { response }
            }
        })
        .build();
    assert_seen(app, &seen, &["an item", "its end"]).await;
}

#[tokio::test]
async fn the_context_is_set_in_middleware_and_its_body() {
    let seen = Seen::default();
    let app = AgentRuntimeApp::builder()
        .config(config())
        .middleware({
            let seen = seen.clone();
            move |request, next| {
                let seen = seen.clone();
                async move {
                    let context = AgentRuntimeContext::current().expect("a context");
                    assert_eq!(context.request_id(), "r-1");
                    assert_eq!(context.header("content-type"), Some("application/json"));
                    // The body is not read yet.
                    assert_eq!(context.session_id(), None);
                    assert_eq!(next.run(request).await.status(), 200);
                    seen.at("after the entrypoint");
                    let own = own_response(&seen);
                    own.map(|body| body.on_end(move |_| seen.at("on_end")))
                }
            }
        })
        .entrypoint(|request: Value| async { request })
        .build();
    let places = ["after the entrypoint", "an item", "its end", "on_end"];
    assert_seen(app, &seen, &places).await;
}

#[tokio::test]
async fn the_session_header_overrides_the_session_in_the_body() {
    let app = AgentRuntimeApp::builder()
        .config(config())
        .middleware(|request, next| async {
            let context = AgentRuntimeContext::current().expect("a context");
            assert_eq!(context.session_id(), Some("s-2"));
            next.run(request).await
        })
        .entrypoint(|_: Value, context: RequestContext| async move {
            context.session_id().map(str::to_owned)
        })
        .build();
    let server = TestServer::start(app).await;
    let header = "x-amzn-bedrock-agentcore-runtime-session-id: s-2\r\n";
    let request = invocation_with(header, "{\"sandbox_id\":\"s-1\"}");
    assert_eq!(server.send(request).await.text(), "\"s-2\"");
}

#[tokio::test]
async fn a_user_response_runs_until_its_body_ends() {
    let app = AgentRuntimeApp::builder()
        .config(config().max_concurrency(1))
        .entrypoint(|request: Value, context: RequestContext| async move {
            let count = request.as_u64().unwrap_or(u64::MAX);
            let count = usize::try_from(count).unwrap_or(usize::MAX);
            let bytes = std::iter::repeat_n(Bytes::from_static(b"x"), count);
            let bytes = stream::iter(bytes).take_while(move |_| {
                let goes_on = !context.is_cancelled();
                async move { goes_on }
            });
            Response::new(Body::new(OwnBody(Box::pin(bytes))))
        })
        .build();
    let server = TestServer::start(app).await;
    let whole = server.invoke("3").await;
    assert_eq!(whole.text(), "xxx");
    server.idle().await;
    let mut endless = server.connect().await;
    endless.write(crate::support::invocation("null")).await;
    assert_eq!(endless.head().await.status, 200);
    assert!(endless.chunk().await.is_some());
    server.invoke("1").await.error(503, "Overloaded");
    drop(endless);
    server.idle().await;
    for (end, count) in [("success", 1), ("cancelled", 1), ("server_error", 1)] {
        let name = format!("invocations_total{{outcome=\"{end}\"}}");
        assert_eq!(server.metric(&name).await, count, "{end}");
    }
    assert_eq!(server.send(get("/ping")).await.status, 200);
}
