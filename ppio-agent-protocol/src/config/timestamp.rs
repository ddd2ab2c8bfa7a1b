//! The fields `metadata.created` and `status.last_deployed`.

use std::fmt;
use std::str::FromStr;

use serde::de::Deserializer;
use serde::{Deserialize, Serialize, Serializer};

use crate::text::{self, excerpt};

/// A time in ISO 8601, as it was written: a date, or a date with a time of day.
///
/// The time of day may leave out seconds, have decimals, and end with `Z` or an offset such as
/// `+08:00`. Without `Z` or an offset it is a local time.
///
/// ```
/// use ppio_agent_protocol::Timestamp;
///
/// let created: Timestamp = "2024-01-15T10:30:00Z".parse()?;
/// assert_eq!(created.as_str(), "2024-01-15T10:30:00Z");
/// assert!("yesterday".parse::<Timestamp>().is_err());
/// # Ok::<(), ppio_agent_protocol::InvalidTimestamp>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Timestamp(String);

/// An error from parsing a [`Timestamp`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a time in ISO 8601, write one such as \"2024-01-15T10:30:00Z\"")]
pub struct InvalidTimestamp(String);

impl Timestamp {
    /// Returns the time as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Timestamp {
    type Err = InvalidTimestamp;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (date, time) = match text.split_once(['T', 't', ' ']) {
            Some((date, time)) => (date, Some(time)),
            None => (text, None),
        };
        if is_date(date) && time.is_none_or(is_time) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidTimestamp(excerpt(text)))
        }
    }
}

/// Whether a text is a date such as `2024-01-15`.
fn is_date(text: &str) -> bool {
    let mut parts = text.split('-');
    let mut part = |length| parts.next().and_then(|part| digits(part, length));
    let (Some(year), Some(month), Some(day)) = (part(4), part(2), part(2)) else {
        return false;
    };
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return false,
    };
    (1..=days).contains(&day) && parts.next().is_none()
}

/// Whether a text is a time of day: `10:30`, `10:30:00`, `10:30:00.5`, each with or without a zone.
fn is_time(text: &str) -> bool {
    let (clock, zone) = match text.find(['Z', 'z', '+', '-']) {
        Some(at) => (&text[..at], &text[at..]),
        None => (text, ""),
    };
    let (clock, decimals) = match clock.split_once('.') {
        Some((clock, decimals)) => (clock, Some(decimals)),
        None => (clock, None),
    };
    let mut parts = clock.split(':');
    let mut part = |limit| {
        parts
            .next()
            .map(|part| digits(part, 2).is_some_and(|it| it < limit))
    };
    // A leap second is second 60.
    let (hour, minute, second) = (part(24), part(60), part(61));
    let has_decimals = |decimals: &str| {
        second.is_some() && !decimals.is_empty() && decimals.bytes().all(|c| c.is_ascii_digit())
    };
    hour == Some(true)
        && minute == Some(true)
        && second != Some(false)
        && parts.next().is_none()
        && decimals.is_none_or(has_decimals)
        && is_zone(zone)
}

/// Whether a text is a zone: nothing, `Z`, `+08`, `+0800` or `+08:00`.
fn is_zone(text: &str) -> bool {
    let Some(offset) = text.strip_prefix(['+', '-']) else {
        return matches!(text, "" | "Z" | "z");
    };
    let (hours, minutes) = match offset.split_once(':') {
        Some(parts) => parts,
        None if offset.len() == 2 => (offset, "00"),
        None => offset.split_at_checked(2).unwrap_or((offset, "")),
    };
    digits(hours, 2).is_some_and(|hours| hours < 24)
        && digits(minutes, 2).is_some_and(|minutes| minutes < 60)
}

/// Parses a text of exactly `length` digits.
fn digits(text: &str, length: usize) -> Option<u32> {
    let plain = text.len() == length && text.bytes().all(|digit| digit.is_ascii_digit());
    if plain { text.parse().ok() } else { None }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl AsRef<str> for Timestamp {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

text::try_from_text!(Timestamp);

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text::deserialize(
            deserializer,
            "a time in ISO 8601 such as \"2024-01-15T10:30:00Z\"",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_what_programs_write_as_iso_8601() {
        for text in [
            "2024-01-15",
            "2024-02-29",
            "2024-01-15T10:30:00Z",
            "2024-01-15t10:30:00z",
            "2024-01-15 10:30:00",
            "2024-01-15T10:30",
            "2024-01-15T10:30:00.123456",
            "2024-01-15T23:59:60.5Z",
            "2024-01-15T10:30:00+08:00",
            "2024-01-15T10:30:00-0330",
            "2024-01-15T10:30+08",
        ] {
            assert_eq!(text.parse::<Timestamp>().unwrap().as_str(), text);
        }
        let huge = "2".repeat(1 << 20);
        for text in [
            "",
            "yesterday",
            "now",
            "2024",
            "2024-01",
            "2024-1-5",
            "2024-13-01",
            "2024-00-01",
            "2024-01-32",
            "2024-04-31",
            "2023-02-29",
            "1900-02-29",
            "24-01-15",
            "+2024-01-15",
            "2024/01/15",
            "2024-01-15-01",
            "2024-01-15T",
            "2024-01-15T10",
            "2024-01-15T24:00:00",
            "2024-01-15T10:60",
            "2024-01-15T10:30:61",
            "2024-01-15T10:30:",
            "2024-01-15T10:30:00:00",
            "2024-01-15T10:30.5",
            "2024-01-15T10:30:00.",
            "2024-01-15T10:30:00ZZ",
            "2024-01-15T10:30:00+",
            "2024-01-15T10:30:00+8",
            "2024-01-15T10:30:00+24:00",
            "2024-01-15T10:30:00+08:60",
            "2024-01-15T10:30:00+08:",
            "2024-01-15T10:30:00 UTC",
            "２024-01-15",
            "2024-01-15T10:30:00é",
            "1705314600",
            huge.as_str(),
        ] {
            let error = text.parse::<Timestamp>().unwrap_err().to_string();
            assert!(error.len() < 400, "{error}");
        }
    }
}
