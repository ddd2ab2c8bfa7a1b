//! Environment variables of a program in a sandbox.

use ppio_agent_protocol::environment::is_blank;

use crate::error::{CliError, ExitKind};

/// Parses the values of `--env`: `NAME=VALUE`, or `NAME` for the value in this environment.
///
/// # Errors
/// If a name is not valid, or the variable of a `NAME` is not set, blank or not UTF-8.
pub(crate) fn variables(given: &[String]) -> Result<Vec<(String, String)>, CliError> {
    let variable = |text: &String| {
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, value.to_owned()),
            None => (
                text.as_str(),
                std::env::var(text)
                    .ok()
                    .filter(|value| !is_blank(value))
                    .ok_or_else(|| {
                        let message = format!("--env: {text} is not set in this environment");
                        CliError::new(ExitKind::Usage, message)
                            .help(format!("set the variable, or write `--env {text}=VALUE`"))
                    })?,
            ),
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        if !starts_well || !name.chars().all(plain) {
            let message = format!("--env: {name:?} cannot be a variable");
            return Err(CliError::new(ExitKind::Usage, message).help("use `--env NAME=VALUE`"));
        }
        Ok((name.to_owned(), value))
    };
    given.iter().map(variable).collect()
}
