//! Prints the warnings of the libraries, such as one about a sandbox that cannot be stopped.

use std::io::{self, Write};

use ppio_sandbox_local::UNENFORCED_LIMITS_TARGET;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::terminal::Terminal;
use crate::terminal::styled::escaped;

/// Prints warnings of the libraries to standard error, unless notes are switched off.
pub(crate) fn print_to(terminal: &Terminal) {
    if !terminal.is_verbose() {
        return;
    }
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(|| EscapedStderr)
        .with_ansi(false)
        .with_target(false)
        .without_time();
    // `local up` and `doctor` report the unenforced limits themselves.
    let wanted = Targets::new()
        .with_default(LevelFilter::WARN)
        .with_target(UNENFORCED_LIMITS_TARGET, LevelFilter::OFF);
    tracing_subscriber::registry()
        .with(lines.with_filter(wanted))
        .init();
}

/// Standard error, escaped: warnings quote the answers of platforms and agents.
struct EscapedStderr;

impl Write for EscapedStderr {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        // A line is written in one call.
        let text = String::from_utf8_lossy(line);
        io::stderr().write_all(escaped(&text).as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
