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

/// A seed of random decisions; `random` chooses one.
pub(super) fn seed(text: &str) -> Result<u32, String> {
    if text == "random" {
        return Ok(fastrand::u32(..));
    }
    text.parse()
        .map_err(|_| format!("not a number from 0 to {}, nor `random`", u32::MAX))
}
