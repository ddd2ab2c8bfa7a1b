//! Streams the answer of a language model, token by token, from any endpoint that speaks OpenAI's
//! chat completions.
//!
//! A caller that goes away stops the model: its stream is dropped, and the connection with it.

mod model;

use futures_util::Stream;
use ppio::{Error, PingStatus};

use crate::model::{Message, Model};

#[derive(serde::Deserialize)]
struct Turn {
    prompt: String,
    /// What was said before, oldest first.
    #[serde(default)]
    history: Vec<Message>,
}

#[ppio::entrypoint]
async fn agent(turn: Turn) -> Result<impl Stream<Item = Result<String, Error>>, Error> {
    let mut messages = turn.history;
    messages.push(Message::from_user(turn.prompt));
    Model::get()?.answer(messages).await
}

/// An agent without its settings is not ready, and says which one is missing.
#[ppio::ping]
fn health() -> Result<PingStatus, Error> {
    Model::get().map(|_| PingStatus::Healthy)
}
