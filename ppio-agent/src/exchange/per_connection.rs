//! A reference with a separate count for each connection.

use std::ops::Deref;
use std::sync::Arc;

/// A value that all connections share, with a reference count for each connection.
///
/// Every request clones and drops several references. If all connections shared one count, its
/// cache line would move between the cores each time, which costs as much as parsing a small
/// request.
#[expect(
    clippy::redundant_allocation,
    reason = "the outer `Arc` is the connection's own count"
)]
pub(crate) struct PerConnection<T>(Arc<Arc<T>>);

impl<T> PerConnection<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(Arc::new(Arc::new(value)))
    }

    /// Returns the same value with a new count.
    pub(crate) fn for_connection(&self) -> Self {
        Self(Arc::new(Arc::clone(&self.0)))
    }
}

impl<T> Clone for PerConnection<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Deref for PerConnection<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}
