//! Shared state, as functions take it.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// State that is built once, before the agent listens, and shared by all requests: a connection
/// pool, a model, a cache.
///
/// The function with [`#[ppio::startup]`](macro@crate::startup) that returns a `T` builds the
/// state. Entrypoints, middleware and the other annotated functions, except startup functions, take
/// the state as a parameter, by value or by reference. A clone shares the same value.
///
/// ```
/// use std::collections::HashMap;
///
/// use ppio::State;
///
/// struct Capitals {
///     by_country: HashMap<&'static str, &'static str>,
/// }
///
/// #[ppio::startup]
/// async fn load() -> Capitals {
///     let by_country = HashMap::from([("France", "Paris")]);
///     Capitals { by_country }
/// }
///
/// #[ppio::entrypoint]
/// async fn agent(country: String, capitals: State<Capitals>) -> Option<&'static str> {
///     capitals.by_country.get(&*country).copied()
/// }
/// ```
///
/// The value is behind an [`Arc`], which the pattern `State(value)` and the field `.0` give access
/// to; the methods and named fields of `T` can be used directly on the `State`. To change the
/// value, use a `Mutex` or an atomic in the type.
pub struct State<T>(
    /// The shared value.
    pub Arc<T>,
);

impl<T> State<T> {
    /// Creates a state from a value, for a test that calls a function with a state.
    pub fn new(value: T) -> Self {
        Self(Arc::new(value))
    }
}

impl<T> Clone for State<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Deref for State<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: fmt::Debug> fmt::Debug for State<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("State").field(&self.0).finish()
    }
}
