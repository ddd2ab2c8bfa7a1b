//! A spinner or a progress bar.

use indicatif::ProgressBar;

use super::styled::escaped;

/// A progress line that is drawn until it is dropped.
#[derive(Debug)]
pub(crate) struct ProgressLine(ProgressBar);

impl ProgressLine {
    pub(super) fn new(bar: ProgressBar) -> Self {
        Self(bar)
    }

    /// Replaces the text.
    pub(crate) fn set_message(&self, text: impl Into<String>) {
        self.0.set_message(escaped(&text.into()).into_owned());
    }

    /// Returns a function that sets the number of transferred bytes.
    pub(crate) fn position_setter(&self) -> impl Fn(u64) + Send + Sync + 'static {
        let bar = self.0.clone();
        move |bytes| bar.set_position(bytes)
    }

    /// Hides the progress while `print` runs.
    pub(crate) fn suspend<T>(&self, print: impl FnOnce() -> T) -> T {
        self.0.suspend(print)
    }
}

impl Drop for ProgressLine {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
