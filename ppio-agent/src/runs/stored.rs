//! Converts parts of a run to what the journal stores, and back.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::answer::{Answer, KeptValue, RunOutcome};
use super::journal::record::{StoredAnswer, StoredEnd, StoredHead, milliseconds, time};
use super::run::state::LoggedHead;
use crate::exchange::error::Error;
use crate::exchange::policies::OnDisconnect;
use crate::exchange::request_id::RequestId;

impl LoggedHead {
    pub(super) fn to_stored(&self) -> StoredHead {
        match self {
            Self::Events => StoredHead::Events,
            Self::Response(head) => {
                let headers = head.1.iter().map(|(name, value)| {
                    let value = value.as_bytes().iter().copied().map(char::from);
                    (name.as_str().to_owned(), value.collect())
                });
                StoredHead::Response(head.0.as_u16(), headers.collect())
            }
        }
    }

    /// Restores the head; `None` if it is not a valid head of a response.
    pub(super) fn restored(stored: StoredHead) -> Option<Self> {
        let StoredHead::Response(status, headers) = stored else {
            return Some(Self::Events);
        };
        let mut map = HeaderMap::with_capacity(headers.len());
        for (name, value) in headers {
            let value: Option<Vec<u8>> = value
                .chars()
                .map(|character| u8::try_from(character).ok())
                .collect();
            map.append(
                HeaderName::from_bytes(name.as_bytes()).ok()?,
                HeaderValue::from_bytes(&value?).ok()?,
            );
        }
        let status = StatusCode::from_u16(status).ok()?;
        Some(Self::Response(Arc::new((status, map))))
    }
}

impl RunOutcome {
    /// Returns the end for the journal, without the parts that [`Answer::kept`] drops.
    pub(super) fn to_stored(
        &self,
        id: &RequestId,
        on_disconnect: OnDisconnect,
        max_size: usize,
    ) -> StoredEnd {
        StoredEnd {
            status: self.status,
            continues: on_disconnect == OnDisconnect::Continue,
            ended_at: milliseconds(self.ended_at),
            answer: match self.answer.clone().kept(max_size) {
                Answer::Logged => StoredAnswer::Logged,
                Answer::Value(value) => StoredAnswer::Value {
                    json: value.json,
                    envelope: value.envelope,
                    duration: value.duration,
                },
                Answer::Failed(error, duration) => StoredAnswer::Failed {
                    status: error.status().as_u16(),
                    error_type: error.error_type().to_owned(),
                    message: error.response_text(id.as_str()).into_owned(),
                    // The body is JSON from the handler, so it is UTF-8.
                    body: error
                        .body()
                        .and_then(|body| String::from_utf8(body.to_vec()).ok()),
                    duration,
                },
                Answer::Dropped => StoredAnswer::Dropped,
            },
        }
    }

    /// Restores the end; `None` if it is not a valid end.
    pub(super) fn restored(stored: StoredEnd) -> Option<Self> {
        if !stored.status.is_ended() {
            return None;
        }
        let answer = match stored.answer {
            StoredAnswer::Logged => Answer::Logged,
            StoredAnswer::Value {
                json,
                envelope,
                duration,
            } => Answer::Value(KeptValue {
                json,
                envelope,
                duration,
            }),
            StoredAnswer::Failed {
                status,
                error_type,
                message,
                body,
                duration,
            } => {
                let status = StatusCode::from_u16(status).ok()?;
                let error = Error::new(status, message).with_type(error_type);
                let error = match body {
                    Some(body) => error.with_body(body.into()),
                    None => error,
                };
                Answer::Failed(error, duration)
            }
            StoredAnswer::Dropped => Answer::Dropped,
        };
        Some(Self {
            status: stored.status,
            answer,
            ended_at: time(stored.ended_at),
        })
    }
}
