//! An agent's response as a value or a stream.

use ppio_agent_protocol::{InvocationResponse, ResponseFormat};
use serde_json::Value;

use super::items::ItemReader;
use super::response::{
    AgentResponse, BodyFormat, StreamOfRun, announced_format, body_format, unexpected_format,
};
use super::resume::Resumption;
use super::run_calls::RunTarget;
use super::stream::InvocationStream;
use crate::error::Error;
use crate::transport::{BodyLimit, Chunks};

/// A response in one piece or a stream, as the agent sends it.
#[derive(Debug)]
pub enum InvocationOutput {
    /// A response in one piece.
    Value(InvocationResponse<Value>),
    /// A stream of items.
    Stream(InvocationStream),
}

impl AgentResponse {
    /// Returns the items of the response.
    pub(super) async fn into_stream(self) -> Result<InvocationStream, Error> {
        let (session, request_id) = (self.session.clone(), self.request_id.clone());
        match self.into_output().await? {
            InvocationOutput::Stream(stream) => Ok(stream),
            InvocationOutput::Value(response) => {
                let item = response.result.unwrap_or(Value::Null);
                let items = ItemReader::once(item);
                Ok(InvocationStream::new(items, session, request_id))
            }
        }
    }

    /// Returns the response as a value or a stream, depending on its content type.
    pub(super) async fn into_output(mut self) -> Result<InvocationOutput, Error> {
        let reader: fn(Chunks, BodyLimit) -> ItemReader = match body_format(self.response.headers())
        {
            BodyFormat::Json => return self.read_json().await.map(InvocationOutput::Value),
            BodyFormat::EventStream => match self.stream.take() {
                Some(stream) => return self.resumable(stream).await,
                None => ItemReader::events,
            },
            BodyFormat::JsonLines => ItemReader::lines,
            BodyFormat::Other(content_type) => return Err(unexpected_format(&content_type)),
        };
        let announced = announced_format(self.response.headers())?;
        let idle_timeout = self.session.stream_idle_timeout();
        let chunks = Chunks::new(self.response.into_body(), idle_timeout);
        let items = reader(chunks, self.session.response_limit());
        let stream = InvocationStream::new(items, self.session, self.request_id)
            .with_deadline(self.stream_deadline)
            .with_named_errors(announced == Some(ResponseFormat::Events));
        Ok(InvocationOutput::Stream(stream))
    }

    async fn resumable(mut self, stream: StreamOfRun) -> Result<InvocationOutput, Error> {
        let session = self.session.clone();
        let run_id = stream.run_id.unwrap_or_else(|| self.request_id.clone());
        let headers = std::mem::take(&mut self.run_headers);
        let run = RunTarget {
            session: session.clone(),
            id: run_id.clone(),
            headers,
        };
        let deadline = self.stream_deadline;
        let items = self.into_items_with_ids().await?;
        // The end event carries the error, so an item that looks like an error is an ordinary item.
        let mut output = InvocationStream::new(items, session, run_id)
            .with_deadline(deadline)
            .with_named_errors(true);
        output.set_resumption(Resumption::new(run, stream.last, stream.limit));
        Ok(InvocationOutput::Stream(output))
    }
}
