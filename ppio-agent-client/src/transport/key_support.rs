//! Whether a server honours idempotency keys.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use http::{HeaderMap, HeaderName};
use ppio_agent_protocol::headers::PPIO_IDEMPOTENCY;

const UNKNOWN: u8 = 0;
const NO: u8 = 1;
const YES: u8 = 2;

/// Whether a server honours idempotency keys, by its responses. Clones share what is known.
#[derive(Debug, Clone, Default)]
pub(crate) struct KeySupport(Arc<AtomicU8>);

impl KeySupport {
    /// `None` until a response says either.
    pub(crate) fn get(&self) -> Option<bool> {
        match self.0.load(Ordering::Relaxed) {
            UNKNOWN => None,
            answer => Some(answer == YES),
        }
    }

    /// Whether the server is known to honour keys.
    pub(crate) fn is_known(&self) -> bool {
        self.get() == Some(true)
    }

    /// Records the headers of a response that has the header wherever keys are honoured.
    pub(crate) fn set_by(&self, headers: &HeaderMap) {
        let answer = if names_keys(headers) { YES } else { NO };
        self.0.store(answer, Ordering::Relaxed);
    }

    /// Records the headers of any response; one without the header says nothing.
    pub(super) fn record(&self, headers: &HeaderMap) {
        if names_keys(headers) {
            self.0.store(YES, Ordering::Relaxed);
        }
    }
}

/// Whether a response says that its server honours keys.
pub(crate) fn names_keys(headers: &HeaderMap) -> bool {
    headers.contains_key(HeaderName::from_static(PPIO_IDEMPOTENCY))
}
