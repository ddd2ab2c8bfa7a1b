//! Examples of the invocations in each bucket of a histogram.
//!
//! A scrape in the `OpenMetrics` format requests one example for each bucket: the next invocation that
//! falls into it. Without such a scrape an invocation reads one number that is seldom written.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use crate::exchange::context::RequestContext;

/// The examples of one histogram.
#[derive(Debug, Default)]
pub(super) struct Exemplars {
    /// A bit for each bucket without a recent example.
    wanted: AtomicU32,
    found: Mutex<BTreeMap<usize, Exemplar>>,
}

/// One invocation.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Exemplar {
    /// `trace_id` or `request_id`.
    pub(crate) label: &'static str,
    pub(crate) id: String,
    pub(crate) duration: Duration,
    pub(crate) at: SystemTime,
}

impl Exemplars {
    /// Takes an invocation as the example of a bucket that has none.
    #[inline]
    pub(super) fn offer(&self, bucket: usize, duration: Duration, context: &RequestContext) {
        if self.wanted.load(Ordering::Relaxed) & (1 << bucket) != 0 {
            self.take(bucket, duration, context);
        }
    }

    #[cold]
    fn take(&self, bucket: usize, duration: Duration, context: &RequestContext) {
        let bit = 1 << bucket;
        if self.wanted.fetch_and(!bit, Ordering::Relaxed) & bit == 0 {
            return;
        }
        let traceparent = context.header("traceparent");
        let (label, id) = match traceparent.and_then(trace_id) {
            Some(id) => ("trace_id", id),
            None => ("request_id", context.request_id()),
        };
        let exemplar = Exemplar {
            label,
            id: id.to_owned(),
            duration,
            at: SystemTime::now(),
        };
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        found.insert(bucket, exemplar);
    }

    /// The last example of each bucket. From now on every bucket takes a new one.
    #[cfg(feature = "metrics")]
    pub(super) fn latest(&self) -> BTreeMap<usize, Exemplar> {
        self.wanted.store(u32::MAX, Ordering::Relaxed);
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        found.clone()
    }
}

/// The trace of a W3C `traceparent`.
fn trace_id(traceparent: &str) -> Option<&str> {
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
