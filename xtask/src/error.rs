//! The error of every command.

/// The message of an error, ready to be printed.
pub(crate) type Error = String;
