//! The default log: readable on a terminal, JSON lines elsewhere.
//!
//! Every line of an invocation carries its `request_id` and `session_id`. A program with a
//! subscriber of its own gets them from a span around each invocation. The default log takes them
//! from the context of the request instead, when a line is written: a span costs a third of what
//! answering a small request costs, and most requests write no line.

use std::fmt;
use std::io::IsTerminal as _;
use std::sync::atomic::{AtomicBool, Ordering};

use http::HeaderMap;
use tracing::{Event, Span, Subscriber};
use tracing_subscriber::fmt::format::{Format, Full, Json, JsonFields, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, fmt as log};

use crate::config::settings::Settings;
use crate::exchange::context::{AgentRuntimeContext, RequestContext, session_header};
use crate::exchange::request_id::RequestId;
use crate::invocation::executor::panic_message;

/// The target of the line that each invocation may end with, at level `info`, or `error` if it failed.
///
/// Writing it costs more than answering a small request does, so whoever wants it has to say so.
pub(crate) const INVOCATION: &str = "ppio::invocation";

/// Whether the subscriber of this program is the one below.
static DEFAULT_LOG: AtomicBool = AtomicBool::new(false);

/// Starts logging to standard error, unless the program has installed a subscriber already, and
/// sends panics there too.
pub(crate) fn start(settings: &Settings) {
    let filter = settings.log.clone();
    let lines = log::layer().with_writer(std::io::stderr);
    let layer = if std::io::stderr().is_terminal() {
        let colour = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let lines = lines.with_ansi(colour);
        // Said twice: the lines are put together in a buffer, which knows of no terminal.
        let lines = lines.event_format(WithContext(Format::default().with_ansi(colour)));
        lines.with_filter(filter).boxed()
    } else {
        let format = Format::default().json().flatten_event(true);
        let lines = lines.fmt_fields(JsonFields::new());
        let lines = lines.event_format(WithContext(format.with_current_span(false)));
        lines.with_filter(filter).boxed()
    };
    if tracing_subscriber::registry()
        .with(layer)
        .try_init()
        .is_ok()
    {
        DEFAULT_LOG.store(true, Ordering::Relaxed);
        // The hook runs inside of the invocation, so the line carries its ids.
        std::panic::set_hook(Box::new(|panic| {
            let place = panic.location().map(ToString::to_string);
            let message = panic_message(panic.payload());
            tracing::error!(place, "panic: {message}");
        }));
    }
}

/// The span around one invocation, where somebody looks at it.
pub(crate) fn invocation_span(request_id: &RequestId, headers: &HeaderMap) -> Span {
    if DEFAULT_LOG.load(Ordering::Relaxed) {
        Span::none()
    } else {
        tracing::info_span!(
            "invocation",
            request_id = request_id.as_str(),
            session_id = session_header(headers),
        )
    }
}

/// Writes a log line about a request from outside of its context.
pub(crate) fn about(context: &RequestContext, span: &Span, write: impl FnOnce()) {
    AgentRuntimeContext::sync_scope(context.clone(), || span.in_scope(write));
}

/// A format that adds the ids of the current request to each line.
struct WithContext<F>(F);

impl<S, N> FormatEvent<S, N> for WithContext<Format<Json>>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        ctx: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let Some(context) = AgentRuntimeContext::current() else {
            return self.0.format_event(ctx, writer, event);
        };
        let mut line = String::new();
        self.0.format_event(ctx, Writer::new(&mut line), event)?;
        let object = line.trim_end().strip_suffix('}').ok_or(fmt::Error)?;
        writer.write_str(object)?;
        for (name, id) in ids(&context) {
            // Quoted as JSON quotes: a session id comes from the caller.
            write!(writer, ",\"{name}\":{}", serde_json::Value::from(id))?;
        }
        writer.write_str("}\n")
    }
}

impl<S, N> FormatEvent<S, N> for WithContext<Format<Full>>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        ctx: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let Some(context) = AgentRuntimeContext::current() else {
            return self.0.format_event(ctx, writer, event);
        };
        let mut line = String::new();
        self.0.format_event(ctx, Writer::new(&mut line), event)?;
        writer.write_str(line.trim_end())?;
        for (name, id) in ids(&context) {
            write!(writer, " {name}={id:?}")?;
        }
        writer.write_str("\n")
    }
}

fn ids(context: &RequestContext) -> impl Iterator<Item = (&'static str, &str)> {
    let session = context.session_id().map(|id| ("session_id", id));
    std::iter::once(("request_id", context.request_id())).chain(session)
}
