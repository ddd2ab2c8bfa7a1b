//! Streams the answer of a language model, token by token, from any endpoint with OpenAI's chat
//! completions API.
//!
//! When the caller disconnects, the stream is dropped and the connection to the model is closed.

mod model;

use futures_util::Stream;
use ppio::{Error, PingStatus};

use crate::model::{Message, Model};

#[derive(serde::Deserialize)]
struct Turn {
    prompt: String,
    /// The earlier messages, oldest first.
    #[serde(default)]
    history: Vec<Message>,
}

#[ppio::entrypoint]
async fn agent(turn: Turn) -> Result<impl Stream<Item = Result<String, Error>>, Error> {
    let mut messages = turn.history;
    messages.push(Message::from_user(turn.prompt));
    Model::get()?.answer(messages).await
}

/// Returns `Healthy`, or an error that names the setting that is missing.
#[ppio::ping]
fn health() -> Result<PingStatus, Error> {
    Model::get().map(|_| PingStatus::Healthy)
}
