//! Parsers of values.

use std::time::Duration;

pub(super) fn not_empty(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        return Err("the value is empty".to_owned());
    }
    Ok(text.to_owned())
}

pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: u64 = text
        .parse()
        .map_err(|_| "not a number of seconds, such as 60".to_owned())?;
    if seconds == 0 {
        return Err("the shortest value is 1 second".to_owned());
    }
    Ok(Duration::from_secs(seconds))
}
