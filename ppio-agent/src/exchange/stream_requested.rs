//! Whether a request selects a stream, in its body or its `Accept` header.

use http::HeaderMap;
use http::header::ACCEPT;
use ppio_agent_protocol::sse;
use serde::Deserialize;
use serde_json::Value;

use super::media_types::Preference;

/// Whether the body has `"stream": true`, or `Accept` prefers an event stream to JSON.
pub(crate) fn stream_requested(headers: &HeaderMap, body: Option<&[u8]>) -> bool {
    prefers_event_stream(headers) || body.is_some_and(has_stream_flag)
}

fn prefers_event_stream(headers: &HeaderMap) -> bool {
    let events = Preference::in_headers(headers, ACCEPT, sse::MEDIA_TYPE);
    let json = Preference::in_headers(headers, ACCEPT, "application/json");
    events > json && events.is_accepted()
}

fn has_stream_flag(body: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct OnlyStream {
        // Any JSON; only `true` requests a stream.
        stream: Value,
    }
    // Searching for the key `stream` costs much less than parsing a body without this key.
    memchr::memmem::find(body, br#""stream""#).is_some()
        && serde_json::from_slice::<OnlyStream>(body)
            .is_ok_and(|request| request.stream == Value::Bool(true))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn an_event_stream_has_to_be_preferred_to_json() {
        for (accept, requested) in [
            ("text/event-stream", true),
            ("Text/Event-Stream; charset=utf-8", true),
            ("text/event-stream, */*", true),
            ("text/event-stream, application/json;q=0.5", true),
            ("text/event-stream;Q=0.5, */*", false),
            ("text/*, application/json;q=0.9", true),
            ("application/json;q=0.2, text/event-stream;q=0.3", true),
            ("", false),
            ("*/*", false),
            ("application/json", false),
            ("application/json, text/event-stream", false),
            ("text/event-stream;q=0.5, */*", false),
            ("text/event-stream;q=0", false),
            ("text/html, */*;q=0.8", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, HeaderValue::from_static(accept));
            assert_eq!(stream_requested(&headers, None), requested, "{accept}");
        }
        assert!(!stream_requested(&HeaderMap::new(), None));
    }

    #[test]
    fn the_flag_is_a_top_level_member_of_the_body() {
        for (body, requested) in [
            (r#"{"prompt":"x","stream":true}"#, true),
            (r#"{"stream":false}"#, false),
            (r#"{"stream":"true"}"#, false),
            (r#"{"stream":null}"#, false),
            (r#"{"options":{"stream":true}}"#, false),
            (r#"["stream",true]"#, false),
            ("null", false),
        ] {
            let headers = HeaderMap::new();
            let body = Some(body.as_bytes());
            assert_eq!(stream_requested(&headers, body), requested, "{body:?}");
        }
    }
}
