//! Points in time: a duration before now, or an RFC 3339 time.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Parses a value such as `10m` or `2026-11-26T13:00:00Z`.
pub(super) fn point_in_time(text: &str) -> Result<SystemTime, String> {
    let now = SystemTime::now();
    let time = match humantime::parse_duration(text) {
        Ok(back) => now.checked_sub(back),
        Err(_) => rfc3339(text),
    };
    time.filter(|time| *time >= UNIX_EPOCH).ok_or_else(|| {
        "neither a duration before now, such as 10m or 1h30m, nor an RFC 3339 time, such as \
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
        // `parse` would accept a sign.
        let is_number = digits.len() == 2 && digits.bytes().all(|digit| digit.is_ascii_digit());
        let number: u64 = digits.parse().ok().filter(|_| is_number)?;
        (number < limit).then_some(number)
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
            "2026-11-26T12:00:00++8:00",
            "2026-11-26T12:00:00+08:+3",
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
}
