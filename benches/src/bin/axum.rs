//! The agent on axum, as the documentation of axum shows it.

use std::convert::Infallible;
use std::error::Error;
use std::time::Instant;

use axum::Json;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::serve::ListenerExt;
use futures_util::stream;
use ppio_benches::{Envelope, MAX_REQUEST_SIZE};
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

async fn ping() -> Json<Value> {
    Json(json!({"status": "Healthy", "message": null, "timestamp": null}))
}
