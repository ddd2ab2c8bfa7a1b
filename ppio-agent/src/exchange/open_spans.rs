//! The open `tracing` spans of each request. With `inspect_runs`, the spans of tasks that continue
//! after the answer are reported.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The names of the open spans, by their ids.
type Names = BTreeMap<u64, &'static str>;

static OPEN: Mutex<BTreeMap<String, Names>> = Mutex::new(BTreeMap::new());

/// Returns the distinct names of the open spans of a request, sorted.
pub(crate) fn of(request_id: &str) -> Vec<&'static str> {
    let open = open();
    let of_request = open.get(request_id).into_iter();
    let mut names: Vec<_> = of_request.flat_map(Names::values).copied().collect();
    names.sort_unstable();
    names.dedup();
    names
}

fn open() -> MutexGuard<'static, BTreeMap<String, Names>> {
    OPEN.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(feature = "logging")]
pub(crate) use self::layer::layer;

#[cfg(feature = "logging")]
mod layer {
    use tracing::level_filters::LevelFilter;
    use tracing::span::{Attributes, Id};
    use tracing::{Metadata, Subscriber};
    use tracing_subscriber::Layer;
    use tracing_subscriber::filter::filter_fn;
    use tracing_subscriber::layer::Context;
    use tracing_subscriber::registry::LookupSpan;

    use super::open;
    use crate::exchange::context::AgentRuntimeContext;

    /// The maximum number of open spans that are recorded for one request.
    const MAX_SPANS: usize = 100;

    /// Returns a layer that records the spans of the author's code and of its dependencies, of the
    /// level `info` and above.
    pub(crate) fn layer<S>() -> impl Layer<S>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let is_noted = |metadata: &Metadata<'_>| {
            metadata.is_span()
                && *metadata.level() <= tracing::Level::INFO
                // Without the runtime's own spans: background tasks are listed separately.
                && !metadata.target().starts_with("ppio::")
        };
        OpenSpans.with_filter(filter_fn(is_noted).with_max_level_hint(LevelFilter::INFO))
    }

    struct OpenSpans;

    /// The id of the request in whose context a span was created; without such a context, that of
    /// the parent span.
    #[derive(Clone)]
    struct OfRequest(String);

    impl<S> Layer<S> for OpenSpans
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        fn on_new_span(&self, _: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
            let Some(span) = context.span(id) else {
                return;
            };
            let of_parent = || span.parent()?.extensions().get::<OfRequest>().cloned();
            let current = AgentRuntimeContext::current();
            let current = current.map(|context| OfRequest(context.request_id().to_owned()));
            let Some(request) = current.or_else(of_parent) else {
                return;
            };
            let mut open = open();
            let names = open.entry(request.0.clone()).or_default();
            if names.len() < MAX_SPANS {
                names.insert(id.into_u64(), span.name());
            }
            drop(open);
            span.extensions_mut().insert(request);
        }

        fn on_close(&self, id: Id, context: Context<'_, S>) {
            let Some(request) = context
                .span(&id)
                .and_then(|span| span.extensions_mut().remove::<OfRequest>())
            else {
                return;
            };
            let mut open = open();
            if let Some(names) = open.get_mut(&request.0) {
                names.remove(&id.into_u64());
                if names.is_empty() {
                    open.remove(&request.0);
                }
            }
        }
    }
}
