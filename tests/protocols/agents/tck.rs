//! The system under test of A2A's Technology Compatibility Kit.
//!
//! The kit continues and cancels tasks after a blocking call, so an answer requests an input. The
//! kit also lists tasks that it expects to be working after a blocking call, which the
//! specification does not require. The agent therefore makes these calls non-blocking; it
//! recognizes them by the ids of their messages.

use std::time::Duration;

use futures_util::stream::{self, BoxStream, StreamExt as _};
use ppio::{
    AgentRuntimeApp, Body, BoxError, ChatEvent, Error, InvocationRequest, Next, Request, Response,
    Sse, StartError, Value,
};

/// A part of the ids of messages whose tasks the kit expects to be working.
const WORKING_ID_PART: &str = "list-test";
/// The prefix of the ids of messages whose tasks have to be working for twice the kit's
/// `TCK_STREAMING_TIMEOUT` of 2 s.
const SLOW_ID_PREFIX: &str = "test-resubscribe-message-id";

/// Starts the agent, whose name contains no word that the kit mistakes for a secret.
fn main() -> Result<(), StartError> {
    AgentRuntimeApp::builder()
        .name("echo")
        .description("Answers with the text of the message.")
        .version("1.0.0")
        .middleware(return_immediately)
        .entrypoint(async |request: InvocationRequest| Sse(answer(request).map(Ok::<_, Error>)))
        .build()?
        .run()
}

async fn return_immediately(request: Request, next: Next) -> Result<Response, BoxError> {
    let (parts, body) = request.into_parts();
    let mut bytes = body.bytes().await?;
    if let Ok(mut value) = serde_json::from_slice::<Value>(&bytes)
        && let Some(params) = value.get_mut("params")
        && let Some(id) = params["message"]["messageId"].as_str()
        && id.contains(WORKING_ID_PART)
    {
        params["configuration"]["returnImmediately"] = true.into();
        bytes = value.to_string().into();
    }
    let request = Request::from_parts(parts, Body::from(bytes));
    Ok(next.run(request).await)
}

fn answer(request: InvocationRequest) -> BoxStream<'static, ChatEvent> {
    let message = request.messages.last();
    let id = message.and_then(|message| message.id.clone());
    let id = id.unwrap_or_default();
    let begun = stream::iter([ChatEvent::text(request.prompt.unwrap_or_default())]);
    let rest = if id.contains(WORKING_ID_PART) {
        stream::pending().boxed()
    } else if id.starts_with(SLOW_ID_PREFIX) {
        let works = ppio::tokio::time::sleep(Duration::from_secs(5));
        stream::once(works)
            .map(|()| ChatEvent::text("done"))
            .boxed()
    } else {
        stream::iter([ChatEvent::Interrupt {
            id: "more".to_owned(),
            reason: "more".to_owned(),
            message: Some("What else?".to_owned()),
            tool_call_id: None,
            response_schema: None,
        }])
        .boxed()
    };
    begun.chain(rest).boxed()
}
