//! The span of a request without the feature `otel`, which does nothing.

use std::future::Future;

use http::StatusCode;

use super::{EndedInvocation, RequestHead};

/// The span of a request; see the module of the same name with the feature `otel`.
#[derive(Debug, Clone, Default)]
pub(crate) struct RequestTrace(());

#[expect(
    clippy::unused_self,
    reason = "the methods are those of the span with the feature"
)]
impl RequestTrace {
    #[inline]
    pub(crate) fn start(_: &RequestHead<'_>) -> Self {
        Self(())
    }

    #[cfg(feature = "chat")]
    #[inline]
    pub(crate) fn invocation(&self) -> Self {
        Self(())
    }

    #[inline]
    pub(crate) fn observes(&self, _: bool) -> bool {
        false
    }

    #[inline]
    pub(crate) fn item(&self, _: &[u8], _: bool) {}

    #[inline]
    pub(crate) fn begin_invocation(&self, _: &str) {}

    #[inline]
    pub(crate) fn called(&self, _: impl FnOnce() -> Option<String>, _: &[u8]) {}

    #[inline]
    pub(crate) fn joined(&self, _: &str) {}

    #[inline]
    pub(crate) fn end_invocation(&self, _: &EndedInvocation<'_>) {}

    #[inline]
    pub(crate) fn ends_with_body(&self) -> bool {
        false
    }

    #[inline]
    pub(crate) fn end_response(&self, _: StatusCode, _: Option<&'static str>) {}

    pub(crate) fn id(&self) -> Option<String> {
        None
    }

    #[inline]
    pub(crate) fn scope<F: Future>(&self, future: F) -> F {
        future
    }

    #[inline]
    pub(crate) fn sync_scope<R>(&self, closure: impl FnOnce() -> R) -> R {
        closure()
    }
}
