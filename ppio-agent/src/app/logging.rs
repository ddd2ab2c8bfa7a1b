//! The default log: readable on a terminal, JSON lines elsewhere, unless a format is set.
//!
//! Every line of an invocation carries its `request_id`, its `session_id` once the session is
//! known, and the `trace_id` of a request that belongs to a trace. The ids are read from the
//! context of the request when a line is written; see [`log_ids`].

use std::backtrace::{Backtrace, BacktraceStatus};
use std::borrow::Cow;
use std::fmt;
use std::io::IsTerminal as _;

use ppio_agent_protocol::environment;
use serde_json::{Map, Value};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{Format, JsonFields, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, fmt as log};

use crate::config::settings::Settings;
use crate::exchange::context::{AgentRuntimeContext, RequestContext};
use crate::exchange::error::panic_message;
use crate::exchange::log_format::LogFormat;
use crate::exchange::{log_ids, open_spans};
use crate::stalls;
#[cfg(feature = "otel")]
use crate::telemetry::layers::layers;
use crate::telemetry::{current_trace_id, is_sender_thread};

/// Starts logging to standard error, panics included, unless the program has installed a subscriber
/// already.
pub(crate) fn start(settings: &Settings) {
    let filter = settings.log.clone();
    let lines = log::layer().with_writer(std::io::stderr);
    let is_terminal = std::io::stderr().is_terminal();
    let format = match settings.values.log_format {
        LogFormat::Auto if is_terminal => LogFormat::Text,
        LogFormat::Auto => LogFormat::Json,
        format => format,
    };
    let layer = if format == LogFormat::Text {
        let colour = is_terminal && environment::variable("NO_COLOR").is_none();
        let lines = lines.with_ansi(colour);
        // The colour is set twice: `WithContext` formats into a buffer, which is not a terminal.
        let lines = lines.event_format(WithContext {
            format: Format::default().with_ansi(colour),
            add_ids: add_ids_to_text,
        });
        lines.with_filter(filter).boxed()
    } else {
        let json = Format::default().json().flatten_event(true);
        let lines = lines.fmt_fields(JsonFields::new());
        let json = WithContext {
            format: json.with_current_span(false),
            add_ids: add_ids_to_json,
        };
        if format == LogFormat::AgentCore {
            let lines = lines.event_format(AgentCoreLines(json));
            lines.with_filter(filter).boxed()
        } else {
            lines.event_format(json).with_filter(filter).boxed()
        }
    };
    // All layers are in one list: with a layer that is `None`, each disabled line is looked up in
    // the filters again.
    let mut all = vec![layer];
    if settings.values.inspect_runs {
        all.push(open_spans::layer().boxed());
    }
    #[cfg(feature = "otel")]
    all.extend(layers(&settings.log).into_iter().flatten());
    if tracing_subscriber::registry().with(all).try_init().is_ok() {
        log_ids::read_from_context();
        // In user code, the hook runs in the context of the request, so the line carries the ids of
        // the request.
        std::panic::set_hook(Box::new(|panic| {
            stalls::end_at_panic();
            let place = panic.location().map(ToString::to_string);
            let message = panic_message(panic.payload());
            // A backtrace is captured only with `RUST_BACKTRACE` or `RUST_LIB_BACKTRACE`.
            let backtrace = Backtrace::capture();
            let backtrace = (backtrace.status() == BacktraceStatus::Captured)
                .then(|| tracing::field::display(backtrace));
            tracing::error!(place, backtrace, "panic: {message}");
        }));
    }
}

/// A format that adds the ids of the current request to each line.
struct WithContext<F> {
    format: F,
    add_ids: AddIds,
}

/// A function that writes a line with ids.
type AddIds = fn(&str, Ids<'_>, Writer<'_>) -> fmt::Result;

/// Ids with their names.
type Ids<'a> = [Option<(&'static str, Cow<'a, str>)>; 3];

impl<S, N, F> FormatEvent<S, N> for WithContext<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        ctx: &FmtContext<'_, S, N>,
        writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        if is_sender_thread() {
            return Ok(());
        }
        let context = AgentRuntimeContext::current();
        let ids = current_ids(context.as_ref());
        if ids.iter().all(Option::is_none) {
            return self.format.format_event(ctx, writer, event);
        }
        let mut line = String::new();
        self.format
            .format_event(ctx, Writer::new(&mut line), event)?;
        (self.add_ids)(line.trim_end(), ids, writer)
    }
}

fn add_ids_to_json(line: &str, ids: Ids<'_>, mut writer: Writer<'_>) -> fmt::Result {
    writer.write_str(line.strip_suffix('}').ok_or(fmt::Error)?)?;
    for (name, id) in ids.into_iter().flatten() {
        // The caller sends the session id, which may need escapes.
        write!(writer, ",\"{name}\":{}", Value::from(id))?;
    }
    writer.write_str("}\n")
}

fn add_ids_to_text(line: &str, ids: Ids<'_>, mut writer: Writer<'_>) -> fmt::Result {
    writer.write_str(line)?;
    for (name, id) in ids.into_iter().flatten() {
        write!(writer, " {name}={id:?}")?;
    }
    writer.write_str("\n")
}

/// JSON lines with the names of AgentCore's runtime.
struct AgentCoreLines<F>(F);

impl<S, N, F> FormatEvent<S, N> for AgentCoreLines<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        ctx: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = String::new();
        self.0.format_event(ctx, Writer::new(&mut line), event)?;
        if line.is_empty() {
            return Ok(());
        }
        let line: Map<String, Value> = serde_json::from_str(&line).map_err(|_| fmt::Error)?;
        let line: Map<_, _> = line.into_iter().map(renamed).collect();
        writeln!(writer, "{}", Value::from(line))
    }
}

/// Renames a member of a line to its name at AgentCore, which follows Python's `logging`. Levels
/// are renamed as well, and a backtrace becomes a list of lines.
fn renamed((name, value): (String, Value)) -> (String, Value) {
    let new_name = match &*name {
        "target" => "logger",
        "request_id" => "requestId",
        "session_id" => "sessionId",
        "error" => "errorMessage",
        "error_type" => "errorType",
        "backtrace" => "stackTrace",
        _ => &name,
    };
    let new_value = match (&*name, value.as_str()) {
        ("level", Some("WARN")) => "WARNING".into(),
        ("level", Some("TRACE")) => "DEBUG".into(),
        ("backtrace", Some(trace)) => trace.lines().collect(),
        _ => value,
    };
    (new_name.to_owned(), new_value)
}

/// Returns the ids of the current request. Outside of a request, these are only the id of the
/// current trace, for tasks that were spawned with a span.
fn current_ids(context: Option<&RequestContext>) -> Ids<'_> {
    let Some(context) = context else {
        let trace = current_trace_id().map(|id| ("trace_id", id.into()));
        return [None, None, trace];
    };
    let request = ("request_id", context.request_id().into());
    let session = context.session_id().map(|id| ("session_id", id.into()));
    let trace = context.trace_id().map(|id| ("trace_id", id));
    [Some(request), session, trace]
}
