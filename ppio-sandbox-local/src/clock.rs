//! Formats and parses times as the platform's interface writes them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Formats a time as RFC 3339 in UTC with milliseconds.
pub(crate) fn rfc3339(time: SystemTime) -> String {
    humantime::format_rfc3339_millis(time).to_string()
}

/// Parses an RFC 3339 time with any offset. `None` if `text` is not a valid time or is before 1970.
pub(crate) fn parse_rfc3339(text: &str) -> Option<SystemTime> {
    let day = text.find(['T', 't', ' '])?;
    // In a query, the `+` of an offset arrives as a space unless it is encoded.
    let offset = text.rfind(['+', '-', ' ']).filter(|place| *place > day);
    let utc = |time: &str| {
        let (date, time) = time.split_at_checked(day)?;
        humantime::parse_rfc3339(&format!("{date}T{}Z", time.get(1..)?)).ok()
    };
    let Some((time, offset)) = offset.and_then(|place| text.split_at_checked(place)) else {
        return utc(text.strip_suffix(['Z', 'z'])?);
    };
    let (hours, minutes) = offset.get(1..)?.split_once(':')?;
    let number = |digits: &str, limit: u64| {
        let is_number = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
        let number: Option<u64> = digits.parse().ok().filter(|_| is_number);
        number.filter(|number| *number < limit)
    };
    let offset_seconds = (number(hours, 24)? * 60 + number(minutes, 60)?) * 60;
    let local = utc(time)?;
    let shift = Duration::from_secs(offset_seconds);
    if offset.starts_with('-') {
        local.checked_add(shift)
    } else {
        local.checked_sub(shift).filter(|time| *time >= UNIX_EPOCH)
    }
}

pub(crate) fn unix_seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}

pub(crate) fn unix_millis(time: SystemTime) -> u64 {
    u64::try_from(
        time.duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_millis(),
    )
    .unwrap_or(u64::MAX)
}

/// The last second of the year 9999, after which RFC 3339 has no times.
const LAST_UNIX_SECOND: u64 = 253_402_300_799;

/// Converts Unix seconds to a time, at most the last time that RFC 3339 can express.
pub(crate) fn from_unix_seconds(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds.min(LAST_UNIX_SECOND))
}

/// `SystemTime` in stored records, as RFC 3339 text.
pub(crate) mod stored {
    use std::time::SystemTime;

    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(crate) fn serialize<S: Serializer>(
        time: &SystemTime,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&humantime::format_rfc3339_nanos(*time))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<SystemTime, D::Error> {
        let text = String::deserialize(deserializer)?;
        humantime::parse_rfc3339(&text).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_an_offset() {
        let expected = from_unix_seconds(1_769_860_800);
        for text in [
            "2026-01-31T12:00:00Z",
            "2026-01-31t12:00:00.000z",
            "2026-01-31T12:00:00+00:00",
            "2026-01-31T14:30:00+02:30",
            "2026-01-31T14:30:00 02:30",
            "2026-01-31T05:00:00-07:00",
        ] {
            assert_eq!(parse_rfc3339(text), Some(expected), "{text}");
        }
        for text in [
            "",
            "now",
            "2026-01-31",
            "2026-01-31T12:00:00",
            "2026-13-31T12:00:00Z",
            "2026-02-30T12:00:00Z",
            "2026-01-31T12:00:00+25:00",
            "2026-01-31T12:00:00+2:00",
            "1970-01-01T00:00:00+01:00",
            "1769860800",
        ] {
            assert_eq!(parse_rfc3339(text), None, "{text}");
        }
    }
}
