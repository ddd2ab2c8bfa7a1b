//! The default log: readable on a terminal, JSON lines elsewhere.
//!
//! Every line of an invocation carries its `request_id` and `session_id`, which are read from the
//! context of the request when a line is written; see [`log_ids`].

use std::fmt;
use std::io::IsTerminal as _;

use ppio_agent_protocol::environment;
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{Format, Full, Json, JsonFields, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, fmt as log};

use crate::config::settings::Settings;
use crate::exchange::context::{AgentRuntimeContext, RequestContext};
use crate::exchange::error::panic_message;
use crate::exchange::log_ids;

/// Starts logging to standard error, panics included, unless the program has installed a subscriber
/// already.
pub(crate) fn start(settings: &Settings) {
    let filter = settings.log.clone();
    let lines = log::layer().with_writer(std::io::stderr);
    let layer = if std::io::stderr().is_terminal() {
        let colour = environment::variable("NO_COLOR").is_none();
        let lines = lines.with_ansi(colour);
        // Set twice: `WithContext` formats into a buffer, which is not a terminal.
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
        log_ids::read_from_context();
        // The hook runs in the context of the request, so the line carries its ids.
        std::panic::set_hook(Box::new(|panic| {
            let place = panic.location().map(ToString::to_string);
            let message = panic_message(panic.payload());
            tracing::error!(place, "panic: {message}");
        }));
    }
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
            // A session id comes from the caller and may need escapes.
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
