//! The benchmark agent, written directly on hyper without a framework.
//!
//! ```text
//! raw-hyper [--coalesce]
//! ```
//!
//! A stream is sent with one frame per item or, with `--coalesce`, with frames of up to about
//! 32 KiB of ready items.

mod events;

use std::convert::Infallible;
use std::error::Error;
use std::time::Instant;

use bytes::Bytes;
use http_body_util::{BodyExt, Either, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use ppio_benches::{Envelope, MAX_REQUEST_SIZE};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use uuid::Uuid;

use events::{EventBody, Framing, event_body};

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

type Body = Either<Full<Bytes>, EventBody>;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let framing = match arguments.as_slice() {
        [] => Framing::PerItem,
        [argument] if argument == "--coalesce" => Framing::Coalesced,
        _ => return Err("usage: raw-hyper [--coalesce]".into()),
    };
    let listener = TcpListener::bind(ppio_benches::listen_address()?).await?;
    let mut http = http1::Builder::new();
    // With a timer, hyper closes a connection whose headers take longer than 30 seconds.
    http.timer(TokioTimer::new());
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        let service = service_fn(move |request| route(request, framing));
        let connection = http.serve_connection(TokioIo::new(socket), service);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                eprintln!("the connection ended early: {error}");
            }
        });
    }
}

async fn route(request: Request<Incoming>, framing: Framing) -> Result<Response<Body>, Infallible> {
    let response = match (request.method(), request.uri().path()) {
        (&Method::POST, "/invocations") => invoke(request, framing).await,
        (&Method::GET, "/ping") => Ok(json_response(
            StatusCode::OK,
            &json!({"status": "Healthy", "message": null, "timestamp": null}),
        )),
        (_, "/invocations") => Ok(method_not_allowed("POST")),
        (_, "/ping") => Ok(method_not_allowed("GET")),
        _ => Err((StatusCode::NOT_FOUND, "no such route".to_owned())),
    };
    Ok(response.unwrap_or_else(|(status, error)| json_response(status, &json!({"error": error}))))
}

async fn invoke(
    request: Request<Incoming>,
    framing: Framing,
) -> Result<Response<Body>, (StatusCode, String)> {
    let started = Instant::now();
    let request_id = ppio_benches::request_id();
    let body = Limited::new(request.into_body(), MAX_REQUEST_SIZE)
        .collect()
        .await
        .map_err(|error| {
            let status = if error.is::<LengthLimitError>() {
                StatusCode::PAYLOAD_TOO_LARGE
            } else {
                StatusCode::BAD_REQUEST
            };
            (status, error.to_string())
        })?
        .to_bytes();
    let request: Value = serde_json::from_slice(&body)
        .map_err(|error| (StatusCode::BAD_REQUEST, format!("invalid JSON: {error}")))?;

    let mut response = if let Some(length) = ppio_benches::stream_length(&request) {
        stream_response(framing, length)
    } else {
        let result = ppio_benches::greet(&request);
        let duration = started.elapsed().as_secs_f64();
        json_response(
            StatusCode::OK,
            &Envelope::success(result, duration, request_id),
        )
    };
    response
        .headers_mut()
        .insert(X_REQUEST_ID, request_id_header(request_id));
    Ok(response)
}

fn stream_response(framing: Framing, length: u64) -> Response<Body> {
    let mut response = Response::new(Either::Right(event_body(framing, length)));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(
        HeaderName::from_static("x-accel-buffering"),
        HeaderValue::from_static("no"),
    );
    response
}

fn json_response(status: StatusCode, body: &impl serde::Serialize) -> Response<Body> {
    let (status, body) = match serde_json::to_vec(body) {
        Ok(body) => (status, body),
        Err(error) => (
            StatusCode::INTERNAL_SERVER_ERROR,
            error.to_string().into_bytes(),
        ),
    };
    let mut response = Response::new(Either::Left(Full::new(Bytes::from(body))));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
}

fn method_not_allowed(allow: &'static str) -> Response<Body> {
    let error = json!({"error": "method not allowed"});
    let mut response = json_response(StatusCode::METHOD_NOT_ALLOWED, &error);
    response
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static(allow));
    response
}

fn request_id_header(request_id: Uuid) -> HeaderValue {
    let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
    let text = request_id.hyphenated().encode_lower(&mut text);
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static("unprintable"))
}
