//! An error and its causes in one line.

use std::error::Error as StdError;
use std::fmt;

/// Displays an error followed by its causes, separated by `: `.
///
/// A cause is left out if the line already ends with its text: many libraries repeat the cause in
/// their own text.
#[derive(Debug, Clone, Copy)]
pub struct ErrorReport<'a>(&'a (dyn StdError + 'static));

impl<'a> ErrorReport<'a> {
    pub(super) fn new(error: &'a (dyn StdError + 'static)) -> Self {
        Self(error)
    }
}

impl fmt::Display for ErrorReport<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut last = self.0.to_string();
        f.write_str(&last)?;
        let mut source = self.0.source();
        while let Some(cause) = source {
            let text = cause.to_string();
            if !last.ends_with(&text) {
                write!(f, ": {text}")?;
                last = text;
            }
            source = cause.source();
        }
        Ok(())
    }
}
