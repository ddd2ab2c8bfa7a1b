//! Whether a server honours idempotency keys, and the latest instance of the server.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::{HeaderMap, HeaderName, HeaderValue};
use ppio_agent_protocol::headers::{PPIO_IDEMPOTENCY, PPIO_INSTANCE, UNKNOWN_INSTANCE};

const UNKNOWN: u8 = 0;
const NO: u8 = 1;
const YES: u8 = 2;

/// Whether a server honours idempotency keys, according to its responses. Clones share this state.
#[derive(Debug, Clone, Default)]
pub(crate) struct KeySupport(Arc<Known>);

#[derive(Debug, Default)]
struct Known {
    support: AtomicU8,
    /// The `PPIO-Instance` of the latest response that announced support for keys.
    instance: Mutex<Option<HeaderValue>>,
}

impl KeySupport {
    /// Whether the server honours idempotency keys; `None` until a response shows this.
    pub(crate) fn get(&self) -> Option<bool> {
        match self.0.support.load(Ordering::Relaxed) {
            UNKNOWN => None,
            answer => Some(answer == YES),
        }
    }

    /// Whether the server is known to honour idempotency keys.
    pub(crate) fn is_known(&self) -> bool {
        self.get() == Some(true)
    }

    /// The latest instance of the server, for the `PPIO-Instance` header of a request that is sent
    /// again.
    pub(crate) fn instance(&self) -> HeaderValue {
        let instance = self.lock_instance().clone();
        instance.unwrap_or(HeaderValue::from_static(UNKNOWN_INSTANCE))
    }

    /// Records a response to a call whose responses always have the `PPIO-Idempotency` header if
    /// keys are honoured. Without the header, keys are not honoured.
    pub(crate) fn set_by(&self, headers: &HeaderMap) {
        if !names_keys(headers) {
            self.0.support.store(NO, Ordering::Relaxed);
        }
        self.record(headers);
    }

    /// Records any response; a response without the `PPIO-Idempotency` header is ignored.
    pub(super) fn record(&self, headers: &HeaderMap) {
        if !names_keys(headers) {
            return;
        }
        self.0.support.store(YES, Ordering::Relaxed);
        let instance = headers.get(HeaderName::from_static(PPIO_INSTANCE));
        let mut known = self.lock_instance();
        if known.as_ref() != instance {
            *known = instance.cloned();
        }
    }

    fn lock_instance(&self) -> MutexGuard<'_, Option<HeaderValue>> {
        let instance = &self.0.instance;
        instance.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a response announces that its server honours keys.
pub(crate) fn names_keys(headers: &HeaderMap) -> bool {
    headers.contains_key(HeaderName::from_static(PPIO_IDEMPOTENCY))
}
