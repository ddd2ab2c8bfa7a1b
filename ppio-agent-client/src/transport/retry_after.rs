//! The `Retry-After` header: seconds, or an HTTP date.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, header};

/// Returns the pause that the response requests: zero for a date in the past, `None` if the header
/// is missing or malformed.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    parse(
        headers.get(header::RETRY_AFTER)?.to_str().ok()?,
        SystemTime::now(),
    )
}

fn parse(text: &str, now: SystemTime) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    // Some gateways send fractions, which the standard does not define.
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_dates_and_malformed_values() {
        // 1994-11-06 08:49:37 UTC, the example date of RFC 9110, section 5.6.7.
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        let table = [
            ("0", Some(0)),
            (" 120 ", Some(120)),
            ("Sun, 06 Nov 1994 08:49:57 GMT", Some(20)),
            ("Sunday, 06-Nov-94 08:49:57 GMT", Some(20)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
            ("-1", None),
            ("soon", None),
            ("", None),
        ];
        for (text, seconds) in table {
            assert_eq!(
                parse(text, now),
                seconds.map(Duration::from_secs),
                "{text:?}"
            );
        }
        assert_eq!(parse("0.5", now), Some(Duration::from_millis(500)));
    }
}
