//! The headers that carry a trace from service to service (W3C Trace Context and Baggage).

use std::borrow::Cow;

use http::{HeaderMap, HeaderName};

pub(crate) static TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
pub(crate) static TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
pub(crate) static BAGGAGE: HeaderName = HeaderName::from_static("baggage");
pub(crate) static TRACE_HEADERS: [&HeaderName; 3] = [&TRACEPARENT, &TRACESTATE, &BAGGAGE];

/// Returns the values of a header that may be repeated, as one list.
pub(crate) fn joined<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<Cow<'a, str>> {
    let values = headers.get_all(name).iter();
    let mut values = values.filter_map(|value| value.to_str().ok());
    let first = values.next()?;
    Some(values.fold(Cow::Borrowed(first), |list, value| {
        Cow::Owned(format!("{list},{value}"))
    }))
}

/// Returns the trace id in a W3C `traceparent`; `None` if the header is not valid.
pub(crate) fn trace_id(traceparent: &str) -> Option<&str> {
    let mut parts = traceparent.split('-');
    let (version, id) = (parts.next()?, parts.next()?);
    let is_hex = |text: &str| {
        text.bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let is_valid = version.len() == 2 && is_hex(version) && version != "ff";
    let is_id = id.len() == 32 && is_hex(id) && id.bytes().any(|byte| byte != b'0');
    (is_valid && is_id).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_id_is_that_of_a_valid_traceparent() {
        const ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
        for (header, expected) in [
            (format!("00-{ID}-00f067aa0ba902b7-01"), Some(ID)),
            (format!("cc-{ID}-00f067aa0ba902b7-01-more"), Some(ID)),
            (format!("ff-{ID}-00f067aa0ba902b7-01"), None),
            (format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32)), None),
            (
                format!("00-{}-00f067aa0ba902b7-01", ID.to_uppercase()),
                None,
            ),
            (format!("00-{ID}0-00f067aa0ba902b7-01"), None),
            ("00".to_owned(), None),
            (String::new(), None),
        ] {
            assert_eq!(trace_id(&header), expected, "{header}");
        }
    }
}
