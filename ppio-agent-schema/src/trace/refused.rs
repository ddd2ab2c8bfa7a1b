//! Why a sample value was refused.

use std::fmt;

use serde::de::Error;

/// The error that the traced type returns.
#[derive(Debug)]
pub(super) enum Refused {
    Missing(&'static str),
    Duplicate,
    /// The text is not one of these names.
    UnknownVariant(&'static [&'static str]),
    /// The field at this index is a tag with these values.
    Tag(usize, &'static [&'static str]),
    Other,
    /// The information in the error has been recorded.
    Noted,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a made-up value was refused")
    }
}

impl std::error::Error for Refused {}

impl Error for Refused {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self::Other
    }

    fn missing_field(field: &'static str) -> Self {
        Self::Missing(field)
    }

    fn duplicate_field(_: &'static str) -> Self {
        Self::Duplicate
    }

    fn unknown_variant(_: &str, variants: &'static [&'static str]) -> Self {
        Self::UnknownVariant(variants)
    }
}
