//! An agent whose requests and invocations are logged.

use std::time::Instant;

use ppio::{Error, Next, Request, Response, Value};

#[ppio::middleware]
async fn monitoring(request: Request, next: Next) -> Response {
    let started = Instant::now();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());

    let response = next.run(request).await;

    let (status, duration) = (response.status(), started.elapsed());
    if let Some(error) = response.extensions().get::<Error>() {
        tracing::error!(%method, path, ?duration, %error, "request_failed");
    } else {
        tracing::info!(%method, path, ?duration, %status, "request_completed");
    }
    response
}

// Each log line of an invocation has its request id and its session id.
#[ppio::entrypoint]
async fn monitored_agent(request: Value) -> Result<Value, Error> {
    let request_size = request.to_string().len();
    tracing::info!(request_size, "agent_invocation_started");

    let result = process_request(request).await;
    match &result {
        Ok(value) => {
            let result_size = value.to_string().len();
            tracing::info!(result_size, "agent_invocation_completed");
        }
        Err(error) => tracing::error!(%error, "agent_invocation_failed"),
    }
    result
}

// Not shown in docs/python.md.

async fn process_request(request: Value) -> Result<Value, Error> {
    match request["prompt"].as_str() {
        Some(prompt) => Ok(ppio::json!({ "message": prompt.to_uppercase() })),
        None => Err(Error::bad_request("`prompt` is missing")),
    }
}
