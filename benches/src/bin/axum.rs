//! The agent on axum, as the documentation of axum shows it.

use std::convert::Infallible;
use std::error::Error;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use axum::Json;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::serve::ListenerExt;
use futures_util::stream;
use ppio_benches::{Envelope, MAX_REQUEST_SIZE};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind(ppio_benches::listen_address()?)
        .await?
        .tap_io(|socket| {
            if let Err(error) = socket.set_nodelay(true) {
                eprintln!("cannot set TCP_NODELAY: {error}");
            }
        });
    let app = Router::new()
        .route("/invocations", post(invoke))
        .route("/v1/chat/completions", post(complete))
        .route("/ping", get(ping))
        .layer(DefaultBodyLimit::max(MAX_REQUEST_SIZE));
    axum::serve(listener, app).await?;
    Ok(())
}

async fn invoke(Json(request): Json<Value>) -> Response {
    let started = Instant::now();
    let request_id = ppio_benches::request_id();
    let id_header = [("x-request-id", request_id.to_string())];
    if let Some(length) = ppio_benches::stream_length(&request) {
        let events = ppio_benches::tokens(length).map(|token| {
            Ok::<_, Infallible>(
                Event::default()
                    .json_data(token)
                    .unwrap_or_else(|error| Event::default().comment(error.to_string())),
            )
        });
        return (id_header, Sse::new(stream::iter(events))).into_response();
    }
    let result = ppio_benches::greet(&request);
    let duration = started.elapsed().as_secs_f64();
    let envelope = Envelope::success(result, duration, request_id);
    (id_header, Json(envelope)).into_response()
}

/// A chunk of a chat completion.
#[derive(Serialize)]
struct Chunk<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    model: &'a str,
    choices: [Choice; 1],
}

#[derive(Serialize)]
struct Choice {
    index: u32,
    delta: Delta,
    finish_reason: Option<&'static str>,
}

#[derive(Serialize)]
struct Delta {
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<String>,
}

/// Answers a request for `OpenAI`'s chat completions with a stream of words.
async fn complete(Json(request): Json<Value>) -> Response {
    let prompt = request["messages"][0]["content"].as_str();
    let length = ppio_benches::prompt_length(prompt.unwrap_or_default());
    let model = request["model"].as_str().unwrap_or("agent").to_owned();
    let id = format!("chatcmpl-{}", ppio_benches::request_id());
    let created = SystemTime::now().duration_since(UNIX_EPOCH);
    let created = created.map_or(0, |since| since.as_secs());
    let chunk = move |content: Option<String>, finish_reason| {
        let choice = Choice {
            index: 0,
            delta: Delta { content },
            finish_reason,
        };
        let chunk = Chunk {
            id: &id,
            object: "chat.completion.chunk",
            created,
            model: &model,
            choices: [choice],
        };
        Event::default()
            .json_data(chunk)
            .unwrap_or_else(|error| Event::default().comment(error.to_string()))
    };
    let last = chunk(None, Some("stop"));
    let words = ppio_benches::words(length).map(move |word| chunk(Some(word), None));
    let events = words.chain([last, Event::default().data("[DONE]")]);
    Sse::new(stream::iter(events.map(Ok::<_, Infallible>))).into_response()
}

async fn ping() -> Json<Value> {
    Json(json!({"status": "Healthy", "message": null, "timestamp": null}))
}
