//! `POST /chat`: a question from a browser, and the agent's answer item by item.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::{Stream, StreamExt as _, future, stream};
use ppio_agent_client::{AgentRuntimeResponse, Error, InvocationOutput, InvocationResponse};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::Backend;
use crate::app_error::AppError;

#[derive(Deserialize)]
pub(crate) struct Question {
    prompt: String,
    /// The id of the conversation; a new conversation starts without it. A real backend checks that
    /// the conversation belongs to the user who is logged in.
    conversation: Option<String>,
}

/// Streams the agent's answer. The first event has the conversation's id; the last is `end`.
///
/// When the browser disconnects, axum drops this stream, or this future before it returns. That
/// closes the connection to the agent, which cancels the invocation.
pub(crate) async fn answer(
    State(backend): State<Arc<Backend>>,
    headers: HeaderMap,
    Json(question): Json<Question>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, AppError> {
    // The text after the last `-` is the template; the text before it is only displayed.
    let agent = format!("chat-{}", backend.template);
    let payload = json!({ "prompt": question.prompt }).to_string();
    let mut call = backend
        .client
        .invoke_agent_runtime(agent, payload)
        .trace_context(&headers);
    if let Some(conversation) = question.conversation {
        call = call.runtime_session_id(conversation);
    }
    let AgentRuntimeResponse {
        runtime_session_id,
        output,
        ..
    } = call.await?;

    let first = event("conversation", &json!({ "id": runtime_session_id }));
    let items = match output {
        InvocationOutput::Stream(items) => items.map(said).left_stream(),
        InvocationOutput::Value(InvocationResponse { result, .. }) => {
            let item = Ok(result.unwrap_or_default());
            stream::once(future::ready(said(item))).right_stream()
        }
    };
    let last = stream::once(future::ready(event("end", &json!({}))));
    // A browser stops reading at an `error` event, so the `end` after it does no harm.
    let events = stream::once(future::ready(first)).chain(items).chain(last);
    Ok(Sse::new(events.map(Ok)).keep_alive(KeepAlive::default()))
}

/// Returns the event for an item, or for the error that ended the answer.
fn said(item: Result<Value, Error>) -> Event {
    match item {
        Ok(item) => event("message", &item),
        Err(error) => {
            tracing::warn!(error = %error.report(), code = error.code(), "an answer is incomplete");
            event("error", &json!({ "error": error.code() }))
        }
    }
}

fn event(name: &str, data: &Value) -> Event {
    Event::default().event(name).data(data.to_string())
}
