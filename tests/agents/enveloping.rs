//! An agent that replies as the request directs: with a value, an envelope, a response or items.

use futures_util::{Stream, stream};
use ppio::{InvocationResponse, Reply, Value};
use serde::Serialize;

#[derive(serde::Deserialize)]
#[serde(rename_all = "snake_case")]
enum Say {
    Value(Value),
    /// In an envelope that says how many tokens were used.
    Envelope(Value),
    Failure(String),
    Items(Vec<Value>),
}

#[derive(Serialize)]
#[serde(untagged)]
enum Answer {
    Value(Value),
    Envelope(InvocationResponse),
}

#[ppio::entrypoint]
async fn agent(say: Say) -> Reply<Answer, impl Stream<Item = Value>> {
    Reply::Value(match say {
        Say::Value(value) => Answer::Value(value),
        Say::Envelope(value) => {
            let mut response = InvocationResponse::success(value);
            response.tokens_used = Some(42);
            Answer::Envelope(response)
        }
        Say::Failure(text) => Answer::Envelope(InvocationResponse::failure(text)),
        Say::Items(items) => return Reply::Stream(stream::iter(items)),
    })
}
