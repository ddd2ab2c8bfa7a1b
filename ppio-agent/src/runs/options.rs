//! The options of a run in the headers of its request.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::run::Run;
use super::tag::RunTag;
use crate::exchange::header_names::{
    IDEMPOTENCY_KEY, PPIO_INSTANCE, PPIO_ON_DISCONNECT, PPIO_STREAM_IDS, PREFER,
};
use crate::exchange::policies::OnDisconnect;
use crate::exchange::rejection::Rejection;

/// The maximum length of an idempotency key, in bytes.
const MAX_KEY_LENGTH: usize = 255;

/// The options of a run, from its request and the configuration.
#[derive(Debug, Default)]
pub(crate) struct RunOptions {
    pub(super) on_disconnect: OnDisconnect,
    /// Whether the request has the header `PPIO-On-Disconnect: cancel`.
    pub(super) cancels_at_once: bool,
    pub(super) respond_async: bool,
    pub(super) stream_ids: bool,
    pub(super) key: Option<String>,
    /// The instance to which a repeated request with an idempotency key was first sent.
    pub(super) first_sent_to: Option<HeaderValue>,
    /// The tag by which a protocol finds the run.
    pub(super) tag: Option<RunTag>,
    pub(super) on_start: OnStart,
}

/// The function that is called when the run has started, even if its caller has disconnected. The
/// function is not called for a run that an earlier request with the same idempotency key started.
#[derive(Default)]
pub(super) struct OnStart(Option<StartFunction>);

type StartFunction = Box<dyn FnOnce(&Arc<Run>) + Send>;

impl OnStart {
    pub(super) fn call(self, run: &Arc<Run>) {
        if let Some(function) = self.0 {
            function(run);
        }
    }
}

impl fmt::Debug for OnStart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OnStart").finish_non_exhaustive()
    }
}

impl RunOptions {
    /// Reads the headers of a request.
    pub(crate) fn of(headers: &HeaderMap, configured: OnDisconnect) -> Result<Self, Rejection> {
        let mut options = Self::of_protocol(headers, configured)?;
        options.stream_ids = stream_ids(headers)?;
        if prefers_async(headers) {
            options.respond_async = true;
            options.on_disconnect = OnDisconnect::Continue;
        }
        Ok(options)
    }

    /// Reads the headers that also apply to the requests of a protocol. The other headers select
    /// formats that the answer of a protocol does not have.
    pub(crate) fn of_protocol(
        headers: &HeaderMap,
        configured: OnDisconnect,
    ) -> Result<Self, Rejection> {
        let stated = on_disconnect(headers)?;
        Ok(Self {
            on_disconnect: stated.unwrap_or(configured),
            cancels_at_once: stated == Some(OnDisconnect::Cancel),
            key: key(headers)?,
            first_sent_to: instance(headers)?,
            ..Self::default()
        })
    }

    /// Sets the policy for disconnected callers, and the tag by which a protocol finds the run.
    #[cfg(feature = "chat")]
    pub(crate) fn keep(mut self, on_disconnect: OnDisconnect, tag: RunTag) -> Self {
        self.on_disconnect = on_disconnect;
        self.tagged(tag)
    }

    /// Sets the tag by which a protocol finds the run, and makes the run continue without its
    /// caller, unless the request has the header `PPIO-On-Disconnect: cancel`.
    #[cfg(feature = "chat")]
    pub(crate) fn continuing(self, tag: RunTag) -> Self {
        let on_disconnect = if self.cancels_at_once {
            OnDisconnect::Cancel
        } else {
            OnDisconnect::Continue
        };
        self.keep(on_disconnect, tag)
    }

    /// Makes the response not wait for the answer of the agent, as with `Prefer: respond-async`.
    #[cfg(feature = "chat")]
    pub(crate) fn without_waiting(mut self) -> Self {
        self.respond_async = true;
        self
    }

    /// Sets the tag by which a protocol finds the run, without changing the policy for disconnected
    /// callers.
    #[cfg(feature = "chat")]
    pub(crate) fn tagged(mut self, tag: RunTag) -> Self {
        self.tag = Some(tag);
        self
    }

    /// Sets a function that is called when the run has started.
    #[cfg(feature = "a2a")]
    pub(crate) fn on_start(mut self, function: impl FnOnce(&Arc<Run>) + Send + 'static) -> Self {
        self.on_start = OnStart(Some(Box::new(function)));
        self
    }

    /// Sets the idempotency key to `key`, which a protocol derives from its input, unless the
    /// request has an `Idempotency-Key` header.
    #[cfg(feature = "chat")]
    pub(crate) fn or_key(mut self, key: String) -> Self {
        self.key.get_or_insert(key);
        self
    }

    /// Whether the answer cannot be read a second time, so that the invocation needs no run.
    pub(crate) fn is_plain(&self) -> bool {
        self.on_disconnect == OnDisconnect::Cancel
            && !self.stream_ids
            && self.key.is_none()
            && self.tag.is_none()
    }
}

/// Returns the only value of a header; several values are an error, since they may differ.
pub(super) fn only<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> Result<Option<&'a HeaderValue>, ()> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    match values.next() {
        None => Ok(first),
        Some(_) => Err(()),
    }
}

/// Whether a `Prefer` header lists `respond-async` (RFC 7240). Other preferences may be ignored.
fn prefers_async(headers: &HeaderMap) -> bool {
    headers
        .get_all(PREFER)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|preference| preference.split(';').next())
        .any(|preference| preference.trim().eq_ignore_ascii_case("respond-async"))
}

fn on_disconnect(headers: &HeaderMap) -> Result<Option<OnDisconnect>, Rejection> {
    let expected = "`cancel` or `continue`";
    option(headers, &PPIO_ON_DISCONNECT, "ppio-on-disconnect", expected)
}

/// Whether a request requires ids in the event stream.
pub(super) fn stream_ids(headers: &HeaderMap) -> Result<bool, Rejection> {
    let expected = "`true` or `false`";
    let stated = option(headers, &PPIO_STREAM_IDS, "ppio-stream-ids", expected)?;
    Ok(stated.unwrap_or(false))
}

fn option<T: FromStr>(
    headers: &HeaderMap,
    header: &HeaderName,
    name: &'static str,
    expected: &'static str,
) -> Result<Option<T>, Rejection> {
    let value = match only(headers, header) {
        Ok(None) => return Ok(None),
        Ok(Some(value)) => value.as_bytes(),
        Err(()) => b"(several)",
    };
    let text = std::str::from_utf8(value).unwrap_or_default();
    match text.to_ascii_lowercase().parse() {
        Ok(value) => Ok(Some(value)),
        Err(_) => Err(Rejection::InvalidOption {
            name,
            found: excerpt(value),
            expected,
        }),
    }
}

fn key(headers: &HeaderMap) -> Result<Option<String>, Rejection> {
    let reason = match only(headers, &IDEMPOTENCY_KEY) {
        Ok(None) => return Ok(None),
        Err(()) => "was sent more than once",
        Ok(Some(value)) => match value.to_str() {
            Err(_) => "has characters outside of ASCII",
            Ok("") => "is empty",
            Ok(key) if key.len() > MAX_KEY_LENGTH => "is too long",
            Ok(key) => return Ok(Some(key.to_owned())),
        },
    };
    Err(Rejection::InvalidKey { reason })
}

fn instance(headers: &HeaderMap) -> Result<Option<HeaderValue>, Rejection> {
    let instance = only(headers, &PPIO_INSTANCE).map_err(|()| Rejection::InvalidOption {
        name: "ppio-instance",
        found: "(several)".to_owned(),
        expected: "only the value of an earlier response",
    })?;
    Ok(instance.cloned())
}

/// Returns the first 64 characters of the bytes that a client sent, for an error text.
pub(super) fn excerpt(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(headers: &[(&'static str, &str)]) -> Result<RunOptions, Rejection> {
        let mut map = HeaderMap::new();
        for &(name, value) in headers {
            map.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        RunOptions::of(&map, OnDisconnect::Cancel)
    }

    #[test]
    fn most_requests_need_no_run() {
        for plain in [
            &[][..],
            &[("prefer", "return=minimal")],
            &[("prefer", "x-respond-async, wait=10")],
            &[("ppio-on-disconnect", "cancel")],
            &[("ppio-stream-ids", "false")],
        ] {
            assert!(options(plain).unwrap().is_plain(), "{plain:?}");
        }
        for kept in [
            ("prefer", "wait=10, Respond-Async; x=1"),
            ("ppio-on-disconnect", "Continue"),
            ("ppio-stream-ids", "true"),
            ("idempotency-key", "\"8e03978e\""),
        ] {
            assert!(!options(&[kept]).unwrap().is_plain(), "{kept:?}");
        }
    }

    #[test]
    fn respond_async_implies_continue() {
        let both = [
            ("prefer", "respond-async"),
            ("ppio-on-disconnect", "cancel"),
        ];
        assert_eq!(
            options(&both).unwrap().on_disconnect,
            OnDisconnect::Continue
        );
    }

    #[test]
    fn invalid_values_are_refused() {
        for (headers, error) in [
            (&[("ppio-on-disconnect", "stop")][..], "BadRequest"),
            (&[("ppio-on-disconnect", "")], "BadRequest"),
            (
                &[
                    ("ppio-on-disconnect", "cancel"),
                    ("ppio-on-disconnect", "cancel"),
                ],
                "BadRequest",
            ),
            (&[("ppio-stream-ids", "yes")], "BadRequest"),
            (
                &[("ppio-instance", "a"), ("ppio-instance", "a")],
                "BadRequest",
            ),
            (&[("idempotency-key", "")], "InvalidIdempotencyKey"),
            (&[("idempotency-key", "k\u{e9}")], "InvalidIdempotencyKey"),
            (
                &[("idempotency-key", "a"), ("idempotency-key", "a")],
                "InvalidIdempotencyKey",
            ),
        ] {
            let rejection = options(headers).unwrap_err();
            assert_eq!(rejection.error_type(), error, "{headers:?}");
            assert_eq!(rejection.status(), 400);
        }
        let longest = "k".repeat(MAX_KEY_LENGTH);
        assert!(options(&[("idempotency-key", &longest)]).is_ok());
        assert!(options(&[("idempotency-key", &format!("{longest}k"))]).is_err());
        let huge = "x".repeat(1 << 16);
        let text = options(&[("ppio-on-disconnect", &huge)])
            .unwrap_err()
            .to_string();
        assert!(text.len() < 300, "{text}");
    }
}
