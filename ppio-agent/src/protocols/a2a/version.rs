//! The version that a caller states.

use http::request::Parts;

use super::failure::{A2aError, A2aErrorKind};
use super::wire::Version;

/// The name of the header with the version, and of the query parameter that may be sent instead.
const NAME: &str = "a2a-version";

/// Returns the version that a request states; `None` if the request states no version, like
/// requests of version 0.3.
///
/// # Errors
/// If the request states a version that is not supported.
pub(super) fn stated(parts: &Parts) -> Result<Option<Version>, A2aError> {
    let in_header = parts.headers.get(NAME);
    let in_header = in_header
        .filter(|value| !value.is_empty())
        .map(|value| String::from_utf8_lossy(value.as_bytes()));
    let query = parts.uri.query().unwrap_or_default().split('&');
    let in_query = query
        .filter_map(|pair| pair.split_once('='))
        .find(|(name, _)| name.eq_ignore_ascii_case(NAME))
        .map(|(_, value)| percent_encoding::percent_decode_str(value).decode_utf8_lossy());
    let Some(text) = in_header.or(in_query).filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let mut numbers = text.split('.');
    match (numbers.next(), numbers.next()) {
        (Some("1"), Some("0")) => Ok(Some(Version::V1)),
        (Some("0"), Some("3")) => Ok(Some(Version::V0_3)),
        _ => Err(not_supported(&text)),
    }
}

/// Rejects a request that states a version other than `spoken`.
pub(super) fn check(stated: Option<Version>, spoken: Version, place: &str) -> Result<(), A2aError> {
    match stated {
        Some(stated) if stated != spoken => {
            let message = format!(
                "{place} requires version {}, but the request states {}; send `A2A-Version: {0}`",
                spoken.number(),
                stated.number()
            );
            Err(A2aError::new(A2aErrorKind::VersionNotSupported, message))
        }
        _ => Ok(()),
    }
}

fn not_supported(text: &str) -> A2aError {
    let text: String = text.chars().take(32).collect();
    let message = format!("version {text:?} is not supported; send `A2A-Version: 1.0`");
    A2aError::new(A2aErrorKind::VersionNotSupported, message)
}
