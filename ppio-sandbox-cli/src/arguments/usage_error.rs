//! Errors of the command line, which are JSON if the command line selects JSON output.

use std::ffi::OsString;

use clap::error::ErrorKind;

use crate::error::{CliError, ExitKind};
use crate::terminal::OutputFormat;

/// The output format of a command line that cannot be parsed.
pub(super) fn format_of(arguments: &[OsString]) -> OutputFormat {
    let arguments: Vec<_> = arguments
        .iter()
        .map(|argument| argument.to_str().unwrap_or_default())
        .take_while(|argument| *argument != "--")
        .collect();
    // In `agent invoke`, a value of `--json` is the request.
    let is_invoke = arguments.contains(&"invoke");
    let mut format = OutputFormat::Text;
    for (index, argument) in arguments.iter().enumerate() {
        let next = arguments.get(index + 1).copied();
        let selects_json = match *argument {
            "--json" => {
                let has_value = next.is_some_and(|next| next == "-" || !next.starts_with('-'));
                (!is_invoke || !has_value).then_some(true)
            }
            "--output" => next.map(|next| next == "json"),
            _ => output_value(argument).map(|value| match value {
                "" => next == Some("json"),
                value => value == "json",
            }),
        };
        match selects_json {
            Some(true) => format = OutputFormat::Json,
            Some(false) => format = OutputFormat::Text,
            None => {}
        }
    }
    format
}

/// The value of `--output=VALUE`, `-oVALUE` or `-o=VALUE`, also behind `-q` as in `-qoVALUE`; empty
/// for `-o VALUE`.
fn output_value(argument: &str) -> Option<&str> {
    if let Some(value) = argument.strip_prefix("--output=") {
        return Some(value);
    }
    let short = argument.strip_prefix('-')?.trim_start_matches('q');
    let value = short.strip_prefix('o')?;
    Some(value.strip_prefix('=').unwrap_or(value))
}

/// The error of a command line.
pub(super) fn usage_error(error: &clap::Error) -> CliError {
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return CliError::new(ExitKind::Usage, "no command is given")
            .help("list the commands with `--help`");
    }
    // The message, tips, the usage and a pointer to `--help`, separated by blank lines.
    let text = error.render().to_string();
    let mut paragraphs = text.trim().split("\n\n").map(|paragraph| {
        let lines = paragraph.lines().map(str::trim);
        lines.collect::<Vec<_>>().join(" ")
    });
    let message = paragraphs.next().unwrap_or_default();
    let message = message.strip_prefix("error: ").unwrap_or(&message);
    let error = CliError::new(ExitKind::Usage, message);
    match paragraphs.collect::<Vec<_>>().join("; ") {
        help if help.is_empty() => error,
        help => error.help(help),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_is_found_in_a_command_line_that_is_not_valid() {
        use OutputFormat::{Json, Text};
        for (line, format) in [
            ("agent list --fast", Text),
            ("agent list --fast --json", Json),
            ("--output json agent list --fast", Json),
            ("agent list --output=json --fast", Json),
            ("agent list -o json --fast", Json),
            ("agent list -ojson --fast", Json),
            ("agent list -o=json --fast", Json),
            ("agent list -qojson --fast", Json),
            ("agent list -q -o json --fast", Json),
            ("agent list --output json --output text --fast", Text),
            ("agent list --output xml", Text),
            ("agent list --fast -- --json", Text),
            ("agent invoke --fast --json", Json),
            ("agent invoke --json --fast", Json),
            ("agent invoke --json request.json --fast", Text),
            ("agent invoke --json - --fast", Text),
            ("agent invoke --json={} --fast -o json", Json),
            ("agent list --output", Text),
            ("", Text),
        ] {
            let arguments: Vec<_> = line.split_whitespace().map(OsString::from).collect();
            assert_eq!(format_of(&arguments), format, "{line}");
        }
    }
}
