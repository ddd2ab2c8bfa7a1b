//! The arguments of `agent logs`.

use std::time::SystemTime;

use clap::Args;
use regex::Regex;

use super::point_in_time::point_in_time;
use super::selection::AgentArguments;
use super::values::not_empty;
use crate::log_level::LogLevel;

const LOGS_HELP: &str = "\
A time is a duration before now, as in 10m, 2h or 1h30m, or an RFC 3339 time, as in \
2026-11-26T13:00:00Z or 2026-11-26T21:00:00+08:00. The time is compared with that at which the \
platform received a line.

The level of a line is the one in it, if the line is JSON with a `level` or begins as a text line \
of the runtime does; otherwise the platform's: `error` for standard error, `info` for standard \
output. The output of `agent exec` is in the log too.

`--grep` searches a line as it is printed, and the strings in a line of JSON. The syntax is that \
of the regex crate (https://docs.rs/regex); `(?i)` ignores case.

With JSON output, each line is an object. A line that is a JSON object keeps its members, such as \
`request_id`, `session_id` and `trace_id`; any other line is the `message`:
  {\"time\": …, \"level\": …, \"sandbox\": …, \"message\": …, \"fields\": {\"stream\": …, …}, …}
The time is the platform's, the level is one of trace, debug, info, warn and error, and `fields` \
are what the platform adds, unless the line has such a member itself.

Examples:
  ppio-sandbox-cli agent logs --since 10m --level warn
  ppio-sandbox-cli agent logs --follow --grep 'timeout|refused'
  ppio-sandbox-cli agent logs --run \"$run\" --json | jq -r .message";

#[derive(Debug, Args)]
#[command(after_long_help = LOGS_HELP)]
pub(crate) struct LogsArguments {
    #[command(flatten)]
    pub(crate) agent: AgentArguments,
    /// The session [default: the agent's newest session]
    #[arg(long, value_name = "ID", value_parser = not_empty)]
    pub(crate) session: Option<String>,
    /// Print new lines until the session ends
    #[arg(long, short)]
    pub(crate) follow: bool,
    #[command(flatten)]
    pub(crate) lines: LineArguments,
}

/// Which lines are printed.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct LineArguments {
    /// Print only lines from this time on: an RFC 3339 time, or a duration before now, as in `10m`
    #[arg(long, value_name = "TIME", value_parser = point_in_time)]
    pub(crate) since: Option<SystemTime>,
    /// Print only lines up to this time
    #[arg(long, value_name = "TIME", value_parser = point_in_time, conflicts_with = "follow")]
    pub(crate) until: Option<SystemTime>,
    /// Print only lines of this level or a more severe one
    #[arg(long, value_enum)]
    pub(crate) level: Option<LogLevel>,
    /// Print only lines that this regular expression matches
    #[arg(long, value_name = "PATTERN", value_parser = pattern)]
    pub(crate) grep: Option<Regex>,
    /// Print only lines of this run or request, by the id that `agent invoke` prints
    #[arg(long, value_name = "ID", value_parser = not_empty)]
    pub(crate) run: Option<String>,
}

fn pattern(text: &str) -> Result<Regex, String> {
    Regex::new(text).map_err(|error| {
        // The lines before the last show the pattern, which clap's error quotes already.
        let text = error.to_string();
        let reason = text.lines().last().unwrap_or_default();
        reason.strip_prefix("error: ").unwrap_or(reason).to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_of_a_pattern_names_its_cause() {
        let error = pattern("a(b").expect_err("not closed");
        assert_eq!(error, "unclosed group");
        assert!(pattern("(?i)süß|日本|\\p{Han}").is_ok());
    }
}
