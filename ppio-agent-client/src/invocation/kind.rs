//! The forms an answer can be asked for in.

use std::marker::PhantomData;

use ppio_agent_protocol::InvocationResponse;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::response::{Answer, Exchange};
use super::stream::InvocationStream;
use crate::error::Error;

/// How an answer is read. The forms are those of this crate: [`Envelope`], [`Typed`],
/// [`Streamed`], [`Auto`].
pub trait AnswerKind: sealed::Read {}

pub(super) mod sealed {
    use super::{Error, Exchange};

    pub trait Read {
        /// What awaiting the call gives.
        type Output: Send;
        /// The content types asked for.
        const ACCEPT: &'static str;

        /// Whether what was read goes on using the session.
        fn keeps_session(_: &Result<Self::Output, Error>) -> bool {
            false
        }

        fn read(exchange: Exchange) -> impl Future<Output = Result<Self::Output, Error>> + Send;
    }
}

/// The agent's answer in its envelope, with duration and metadata.
#[derive(Debug, Clone, Copy)]
pub struct Envelope;

/// The agent's result alone, as a `T`.
#[derive(Debug, Clone, Copy)]
pub struct Typed<T>(PhantomData<fn() -> T>);

/// Item by item.
#[derive(Debug, Clone, Copy)]
pub struct Streamed;

/// As the agent chooses.
#[derive(Debug, Clone, Copy)]
pub struct Auto;

const JSON: &str = "application/json";
const STREAM: &str = "text/event-stream, application/x-ndjson;q=0.9, application/json;q=0.5";
const ANY: &str = "application/json, text/event-stream, application/x-ndjson";

impl AnswerKind for Envelope {}
impl sealed::Read for Envelope {
    type Output = InvocationResponse<Value>;
    const ACCEPT: &'static str = JSON;

    async fn read(exchange: Exchange) -> Result<Self::Output, Error> {
        exchange.value().await
    }
}

impl<T: DeserializeOwned + Send + 'static> AnswerKind for Typed<T> {}
impl<T: DeserializeOwned + Send + 'static> sealed::Read for Typed<T> {
    type Output = T;
    const ACCEPT: &'static str = JSON;

    async fn read(exchange: Exchange) -> Result<T, Error> {
        let result = exchange.value().await?.result.unwrap_or(Value::Null);
        serde_json::from_value(result).map_err(|error| {
            let message = format!("the agent's result is not of the type asked for: {error}");
            Error::protocol("invoke agent", message)
        })
    }
}

impl AnswerKind for Streamed {}
impl sealed::Read for Streamed {
    type Output = InvocationStream;
    const ACCEPT: &'static str = STREAM;

    fn keeps_session(outcome: &Result<InvocationStream, Error>) -> bool {
        outcome.is_ok()
    }

    async fn read(exchange: Exchange) -> Result<InvocationStream, Error> {
        exchange.stream().await
    }
}

impl AnswerKind for Auto {}
impl sealed::Read for Auto {
    type Output = Answer;
    const ACCEPT: &'static str = ANY;

    fn keeps_session(outcome: &Result<Answer, Error>) -> bool {
        matches!(outcome, Ok(Answer::Stream(_)))
    }

    async fn read(exchange: Exchange) -> Result<Answer, Error> {
        exchange.auto().await
    }
}
