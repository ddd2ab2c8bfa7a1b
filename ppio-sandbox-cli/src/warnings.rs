//! What the libraries below warn of: a sandbox that could not be ended, an isolation that does not work.

use std::io;

use tracing_subscriber::filter::LevelFilter;

use crate::terminal::Terminal;

/// Prints warnings to standard error from now on, unless only results and failures are wanted.
pub(crate) fn print_to(terminal: &Terminal) {
    if !terminal.talks() {
        return;
    }
    tracing_subscriber::fmt()
        .with_max_level(LevelFilter::WARN)
        .with_writer(io::stderr)
        .with_ansi(false)
        .with_target(false)
        .without_time()
        .init();
}
