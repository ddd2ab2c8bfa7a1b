//! The headers that carry a trace from service to service (W3C Trace Context and Baggage).

use std::borrow::Cow;

use http::HeaderMap;

pub(crate) const TRACEPARENT: &str = "traceparent";
pub(crate) const TRACESTATE: &str = "tracestate";
pub(crate) const BAGGAGE: &str = "baggage";
pub(crate) const TRACE_HEADERS: [&str; 3] = [TRACEPARENT, TRACESTATE, BAGGAGE];

/// The values of a header that may be repeated, as one list.
pub(crate) fn joined<'a>(headers: &'a HeaderMap, name: &str) -> Option<Cow<'a, str>> {
    let values = headers.get_all(name).iter();
    let mut values = values.filter_map(|value| value.to_str().ok());
    let first = values.next()?;
    Some(values.fold(Cow::Borrowed(first), |list, value| {
        Cow::Owned(format!("{list},{value}"))
    }))
}
