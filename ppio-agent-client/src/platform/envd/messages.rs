//! The messages and the outcome of a Connect stream.

use bytes::Bytes;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::envelope::EnvelopeDecoder;
use crate::error::Error;
use crate::transport::{BodyLimit, Chunks};

/// Reads the messages of a stream.
#[derive(Debug)]
pub(super) struct ConnectStream {
    operation: &'static str,
    sandbox_id: String,
    chunks: Chunks,
    decoder: EnvelopeDecoder,
    limit: BodyLimit,
    ended: bool,
}

/// The message that ends a stream.
#[derive(Deserialize, Default)]
#[serde(default)]
struct EndMessage {
    error: Option<StreamError>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct StreamError {
    code: String,
    message: String,
}

impl ConnectStream {
    pub(super) fn new(
        operation: &'static str,
        sandbox_id: &str,
        chunks: Chunks,
        limit: BodyLimit,
    ) -> Self {
        Self {
            operation,
            sandbox_id: sandbox_id.to_owned(),
            chunks,
            decoder: EnvelopeDecoder::new(limit.bytes()),
            limit,
            ended: false,
        }
    }

    /// Returns the error for output that exceeds the limit.
    pub(super) fn too_large(&self, what: impl Into<String>) -> Error {
        let error = self.limit.exceeded(self.operation, what);
        error.with_operation(self.operation, &self.sandbox_id)
    }

    /// The size limit of the output in memory, in bytes.
    pub(super) fn limit(&self) -> usize {
        self.limit.bytes()
    }

    /// Returns the next message, or `None` after the end of the stream. Cancel safe.
    pub(super) async fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>, Error> {
        let outcome = self.read().await;
        if !matches!(outcome, Ok(Some(_))) {
            self.ended = true;
        }
        if outcome.is_err() {
            self.chunks.close();
        }
        outcome.map_err(|error| error.with_operation(self.operation, &self.sandbox_id))
    }

    async fn read<T: DeserializeOwned>(&mut self) -> Result<Option<T>, Error> {
        while !self.ended {
            let envelope = self.decoder.next().map_err(|length| {
                let what = format!("a message of {length} bytes");
                self.limit.exceeded(self.operation, what)
            })?;
            match envelope {
                Some(envelope) if envelope.is_end => {
                    return self.read_end(&envelope.message).map(|()| None);
                }
                Some(envelope) => return self.parse(&envelope.message).map(Some),
                None => match self.chunks.next().await? {
                    Some(bytes) => self.decoder.push(&bytes),
                    None => {
                        return Err(self
                            .chunks
                            .cut_error("the stream ended without its end message"));
                    }
                },
            }
        }
        Ok(None)
    }

    fn parse<T: DeserializeOwned>(&self, message: &Bytes) -> Result<T, Error> {
        serde_json::from_slice(message)
            .map_err(|error| self.protocol(format!("a message is not as expected: {error}")))
    }

    /// Returns the error for a message that breaks the protocol.
    pub(super) fn protocol(&self, message: impl Into<String>) -> Error {
        Error::protocol(self.operation, message)
    }

    fn read_end(&self, message: &Bytes) -> Result<(), Error> {
        let end = if message.is_empty() {
            EndMessage::default()
        } else {
            self.parse(message)?
        };
        match end.error {
            None => Ok(()),
            Some(StreamError { code, message }) => Err(Error::Runtime {
                operation: self.operation.to_owned(),
                status: status(&code),
                message: format!("{message} ({code})"),
            }),
        }
    }
}

/// Returns the HTTP status of a Connect error code, from the protocol's table. The response to a
/// unary call would have this status.
fn status(code: &str) -> Option<u16> {
    Some(match code {
        "invalid_argument" | "failed_precondition" | "out_of_range" => 400,
        "unauthenticated" => 401,
        "permission_denied" => 403,
        "not_found" => 404,
        "already_exists" | "aborted" => 409,
        "resource_exhausted" => 429,
        "canceled" => 499,
        "unimplemented" => 501,
        "unavailable" => 503,
        "deadline_exceeded" => 504,
        "unknown" | "internal" | "data_loss" => 500,
        _ => return None,
    })
}
