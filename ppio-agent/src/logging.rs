//! The default log: readable on a terminal, JSON lines elsewhere.

use std::io::IsTerminal as _;

use tracing_subscriber::Layer as _;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::drive::panic_message;
use crate::settings::Settings;

/// Starts logging to standard error, unless the program has installed a subscriber already, and
/// sends panics there too.
pub(crate) fn start(settings: &Settings) {
    let filter = settings.log.clone();
    let lines = fmt::layer().with_writer(std::io::stderr);
    let layer = if std::io::stderr().is_terminal() {
        let colour = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        lines.with_ansi(colour).with_filter(filter).boxed()
    } else {
        lines
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_filter(filter)
            .boxed()
    };
    let ours = tracing_subscriber::registry()
        .with(layer)
        .try_init()
        .is_ok();
    if ours {
        // The hook runs inside of the invocation's span, so the line carries its ids.
        std::panic::set_hook(Box::new(|panic| {
            let place = panic.location().map(ToString::to_string);
            let message = panic_message(panic.payload());
            tracing::error!(place, "panic: {message}");
        }));
    }
}
