//! Tests of an agent without a socket.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::stream;
use ppio::http::Method;
use ppio::testing::TestAgent;
use ppio::{
    AgentRuntimeApp, Body, BoxError, ByteSize, Error, InvocationResponse, Json, Next, PingStatus,
    Request, RequestContext, Response, RuntimeConfig, Sse, SseIter, Value, json,
};
use serde::{Deserialize, Serialize};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct City {
    name: String,
    people: u32,
}

/// An agent with middleware, a ping and limits.
fn cities() -> TestAgent {
    let app = AgentRuntimeApp::builder()
        .config(RuntimeConfig::new().max_request_size(ByteSize::new(200)))
        .middleware(async |mut request: Request, next: Next| {
            if request.headers().contains_key("x-refuse") {
                return Err(Error::forbidden("not you"));
            }
            request.extensions_mut().insert("from middleware");
            Ok(next.run(request).await)
        })
        .ping(async || PingStatus::HealthyBusy)
        .entrypoint(|mut city: City, context: RequestContext| async move {
            if city.people == 0 {
                return Err(Error::not_found("no such person").with_type("GhostTown"));
            }
            assert_eq!(context.extension(), Some(&"from middleware"));
            city.people += 1;
            Ok(Json(city))
        })
        .build();
    TestAgent::new(app.expect("a configuration that can be used"))
}

/// An agent that has only an entrypoint.
macro_rules! agent {
    ($entrypoint:expr) => {
        TestAgent::new(
            AgentRuntimeApp::builder()
                .entrypoint($entrypoint)
                .build()
                .unwrap(),
        )
    };
}

fn ys(people: u32) -> City {
    City {
        name: "Ys".to_owned(),
        people,
    }
}

#[tokio::test]
async fn a_value_of_any_type_is_sent_and_returned() {
    let reply = cities().invoke(&ys(1)).await;
    assert_eq!(reply.status(), 200);
    assert_eq!(reply.headers()["content-type"], "application/json");
    assert_eq!(reply.value::<City>().await, ys(2));
    let reply = cities().invoke(&json!({ "name": "Ys", "people": 6 })).await;
    assert_eq!(reply.value::<Value>().await["people"], 7);
}

#[tokio::test]
async fn the_whole_response_is_accessible() {
    let request = cities().request(Method::POST, "/invocations");
    let reply = request
        .header("x-request-id", "r-1")
        .json(&ys(1))
        .send()
        .await;
    assert_eq!(reply.headers()["x-request-id"], "r-1");
    let envelope: InvocationResponse = reply.json().await;
    assert_eq!(
        serde_json::to_value(&envelope).unwrap()["status"],
        "success"
    );
    let text = cities().invoke(&ys(1)).await.text().await;
    assert!(
        text.starts_with(r#"{"result":{"name":"Ys","people":2},"#),
        "{text}"
    );
}

#[tokio::test]
async fn an_error_has_its_status_type_and_text() {
    let error = cities().invoke(&ys(0)).await.error().await;
    assert_eq!(error.status(), 404);
    assert_eq!(error.error_type(), "GhostTown");
    assert_eq!(error.message(), "no such person");
    let error = cities()
        .invoke(&json!({ "name": "Ys", "people": -1 }))
        .await;
    let error = error.error().await;
    assert_eq!(
        (error.status().as_u16(), error.error_type()),
        (422, "ValidationError")
    );
    let request = cities().request(Method::POST, "/invocations");
    let refused = request.header("x-refuse", "1").json(&ys(1)).send().await;
    assert_eq!(refused.error().await.status(), 403);
}

#[tokio::test]
async fn any_body_can_be_sent_to_any_route() {
    let post = || cities().request(Method::POST, "/invocations");
    let broken = post().body("{").send().await.error().await;
    assert_eq!(broken.error_type(), "InvalidJson");
    let large = post().body("x".repeat(201)).send().await.error().await;
    assert_eq!(large.status(), 413);
    let lost = cities().request(Method::GET, "/nope").send().await;
    assert_eq!(lost.error().await.status(), 404);
    let metrics = cities().request(Method::GET, "/metrics").send().await;
    assert!(
        metrics
            .text()
            .await
            .contains("ppio_agent_invocations_total")
    );
}

#[tokio::test]
async fn the_ping_runs_the_health_check() {
    let reply = cities().ping().await;
    assert_eq!(reply.status(), 200);
    let ping: ppio::PingResponse = reply.json().await;
    assert_eq!(ping.status, PingStatus::HealthyBusy);
}

#[tokio::test]
async fn the_context_has_the_session_and_the_headers() {
    let agent = agent!(|_: Value, context: RequestContext| async move {
        json!({
            "result": context.session_id(),
            "language": context.header("accept-language"),
        })
    });
    let expected = json!({ "result": "s-1", "language": "de" });
    let request = agent.request(Method::POST, "/invocations");
    let request = request.session("s-1").header("accept-language", "de");
    let reply = request.json(&1).send().await;
    // AgentCore's callers receive the bare value, even if it has fields like the envelope.
    assert_eq!(reply.value::<Value>().await, expected);
    let body = json!({ "sandbox_id": "s-1" });
    let reply = agent.invoke(&body).await;
    let expected = json!({ "result": "s-1", "language": null });
    assert_eq!(reply.value::<Value>().await, expected);
}

#[tokio::test]
async fn a_stream_is_read_item_by_item() {
    let agent =
        agent!(|count: u32| async move { Sse(stream::iter((0..count).map(Ok::<_, Error>))) });
    let mut reply = agent.invoke(&3).await;
    assert_eq!(reply.next_item().await, Some(0));
    assert_eq!(reply.items::<u32>().await, [1, 2]);
    assert_eq!(agent.invoke(&0).await.items::<u32>().await, [0; 0]);
}

#[tokio::test]
async fn an_error_of_an_iterator_is_its_last_item() {
    let agent = agent!(|_: Value| SseIter([Ok(1), Err("broken"), Ok(2)].into_iter()));
    let items: Vec<Value> = agent.invoke(&()).await.items().await;
    assert_eq!(items[0], 1);
    assert_eq!(items[1]["error"], "broken");
    assert_eq!(items.len(), 2);
}

#[tokio::test]
async fn dropping_a_reply_cancels_the_invocation() {
    struct Guard(Arc<AtomicBool>);
    impl Drop for Guard {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let left = Arc::new(AtomicBool::new(false));
    let agent = agent!({
        let left = Arc::clone(&left);
        move |_: Value| {
            let guard = Guard(Arc::clone(&left));
            let endless = stream::repeat_with(move || {
                let _held = &guard;
                Ok::<_, Error>("on and on")
            });
            async { Sse(endless) }
        }
    });
    let mut reply = agent.invoke(&1).await;
    assert_eq!(
        reply.next_item::<String>().await.as_deref(),
        Some("on and on")
    );
    assert!(!left.load(Ordering::Relaxed));
    drop(reply);
    assert!(left.load(Ordering::Relaxed));
}

#[tokio::test]
async fn a_user_response_is_read_without_an_envelope() {
    let agent = agent!(|_: Value| async { Response::new(Body::from("[1,2]")) });
    assert_eq!(agent.invoke(&1).await.value::<Vec<u8>>().await, [1, 2]);
    assert_eq!(agent.invoke(&1).await.text().await, "[1,2]");
}

/// Failed assertions show the actual response.
mod wrong {
    use super::*;

    async fn echo() -> TestAgent {
        agent!(|text: String| async move { Ok::<_, BoxError>(text) })
    }

    #[tokio::test]
    #[should_panic(expected = "not a stream but 422")]
    async fn no_stream() {
        echo().await.invoke(&1).await.items::<Value>().await;
    }

    #[tokio::test]
    #[should_panic(expected = "the agent answered 422 Unprocessable Entity: {")]
    async fn no_value() {
        echo().await.invoke(&1).await.value::<Value>().await;
    }

    #[tokio::test]
    #[should_panic(expected = "not an error but 200 OK: {")]
    async fn no_error() {
        echo().await.invoke("x").await.error().await;
    }

    #[tokio::test]
    #[should_panic(expected = "not a u8: invalid type: string")]
    async fn another_type() {
        echo().await.invoke("x").await.value::<u8>().await;
    }
}
