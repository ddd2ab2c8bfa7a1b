//! The error type of all commands.

/// The message of an error, ready to be printed.
pub(crate) type Error = String;
