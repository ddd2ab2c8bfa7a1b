//! What the libraries below warn of: a sandbox that could not be ended, an isolation that does not work.

use std::io::{self, Write};

use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::terminal::Terminal;
use crate::terminal::styled::escaped;

/// Prints warnings to standard error from now on, unless only results and failures are wanted.
pub(crate) fn print_to(terminal: &Terminal) {
    if !terminal.talks() {
        return;
    }
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(|| Escaping)
        .with_ansi(false)
        .with_target(false)
        .without_time();
    // The limits that are not enforced, which `local up` and `doctor` report by themselves.
    let wanted = Targets::new()
        .with_default(LevelFilter::WARN)
        .with_target("ppio_sandbox_local::builder", LevelFilter::OFF);
    tracing_subscriber::registry()
        .with(lines.with_filter(wanted))
        .init();
}

/// Standard error. Warnings quote what platforms and agents answered.
struct Escaping;

impl Write for Escaping {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        // A line is written at once.
        let text = String::from_utf8_lossy(line);
        io::stderr().write_all(escaped(&text).as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
