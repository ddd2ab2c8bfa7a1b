//! The arguments of `agent logs`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::{Args, ValueEnum};
use regex::Regex;

use super::selection::AgentArguments;
use super::values::not_empty;

const LOGS_HELP: &str = "\
A time is a duration back, as in 10m, 2h or 1h30m, or an RFC 3339 time, as in 2026-11-26T13:00:00Z or \
2026-11-26T21:00:00+08:00. It is compared with the time at which the platform received a line.

The level of a line is the one in it, if the line is JSON with a `level` or begins as a text line of the runtime does; \
otherwise the platform's: `error` for standard error, `info` for standard output. The output of `agent exec` is in the log too.

`--grep` searches a line as it is printed, and the strings in a line of JSON. The syntax is that of the regex crate \
(https://docs.rs/regex); `(?i)` ignores case.

With JSON output, each line is an object. A line that is a JSON object keeps its members, such as `request_id`, `session_id` \
and `trace_id`; any other line is the `message`:
  {\"time\": …, \"level\": …, \"sandbox\": …, \"message\": …, \"fields\": {\"stream\": …, …}, …}
The time is the platform's, the level one of trace, debug, info, warn and error, and `fields` what the platform adds, unless the \
line has such a member itself.

Examples:
  ppio-sandbox-cli agent logs --since 10m --level warn
  ppio-sandbox-cli agent logs --follow --grep 'timeout|refused'
  ppio-sandbox-cli agent logs --run \"$run\" --json | jq -r .message";

/// How bad what a line reports is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum LogLevel {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
}

#[derive(Debug, Args)]
#[command(after_long_help = LOGS_HELP)]
pub(crate) struct LogsArguments {
    #[command(flatten)]
    pub(crate) agent: AgentArguments,
    /// The session [default: the newest of the agent]
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
    /// Print only lines from this time on: a duration back, as in `10m`, or an RFC 3339 time
    #[arg(long, value_name = "TIME", value_parser = point_in_time)]
    pub(crate) since: Option<SystemTime>,
    /// Print only lines up to this time
    #[arg(long, value_name = "TIME", value_parser = point_in_time, conflicts_with = "follow")]
    pub(crate) until: Option<SystemTime>,
    /// Print only lines of this level and worse
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

fn point_in_time(text: &str) -> Result<SystemTime, String> {
    let now = SystemTime::now();
    let time = match humantime::parse_duration(text) {
        Ok(back) => now.checked_sub(back),
        Err(_) => rfc3339(text),
    };
    time.filter(|time| *time >= UNIX_EPOCH).ok_or_else(|| {
        "neither a duration back, such as 10m or 1h30m, nor an RFC 3339 time, such as \
         2026-11-26T13:00:00Z"
            .to_owned()
    })
}

/// Reads RFC 3339 with any offset; the zone is required.
fn rfc3339(text: &str) -> Option<SystemTime> {
    let utc = |local: &str| humantime::parse_rfc3339_weak(&format!("{local}Z")).ok();
    if let Some(local) = text.strip_suffix(['Z', 'z']) {
        return utc(local);
    }
    let (local, offset) = text.split_at_checked(text.len().checked_sub(6)?)?;
    let (hours, minutes) = offset.get(1..)?.split_once(':')?;
    let number = |digits: &str, limit: u64| {
        let number: u64 = digits.parse().ok()?;
        (digits.len() == 2 && number < limit).then_some(number)
    };
    let offset_minutes = number(hours, 24)? * 60 + number(minutes, 60)?;
    let shift = Duration::from_secs(offset_minutes * 60);
    let local = utc(local)?;
    match offset.as_bytes()[0] {
        b'+' => local.checked_sub(shift),
        b'-' => local.checked_add(shift),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_duration_back_or_rfc_3339() {
        let noon = humantime::parse_rfc3339("2026-11-26T12:00:00Z").expect("a time");
        for text in [
            "2026-11-26T12:00:00Z",
            "2026-11-26 12:00:00.000Z",
            "2026-11-26T20:00:00+08:00",
            "2026-11-26T08:30:00-03:30",
        ] {
            assert_eq!(point_in_time(text), Ok(noon), "{text}");
        }
        for (text, seconds) in [("10m", 600), ("2h", 7200), ("1h30m", 5400), ("0s", 0)] {
            let before = SystemTime::now();
            let time = point_in_time(text).expect(text) + Duration::from_secs(seconds);
            assert!(time >= before && time <= SystemTime::now(), "{text}");
        }
        for text in [
            "",
            "10",
            "-5m",
            "yesterday",
            "2026-11-26",
            "2026-11-26T12:00:00",
            "2026-11-26T12:00:00+8:00",
            "2026-11-26T12:00:00+24:00",
            "2026-11-26T12:00:00 08:00",
            "2026-13-26T12:00:00Z",
            "1960-01-01T00:00:00Z",
            "100years",
            "1970-01-01T00:00:00+08:00",
            "日本日本日本",
        ] {
            assert!(point_in_time(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_error_of_a_pattern_names_its_cause() {
        let error = pattern("a(b").expect_err("not closed");
        assert_eq!(error, "unclosed group");
        assert!(pattern("(?i)süß|日本|\\p{Han}").is_ok());
    }
}
