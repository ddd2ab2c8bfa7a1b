//! The JSON of responses.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};

use crate::error::Error;

/// Parses the JSON of a response; the error contains the line and the column of the mismatch.
pub(crate) fn read_json<T: DeserializeOwned>(operation: &str, body: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(body).map_err(|error| {
        Error::protocol(
            operation,
            format!("the response is not as expected: {error}"),
        )
    })
}

/// Reads `null` as an empty value: platforms send `null` for an empty list or object.
pub(super) fn null_is_empty<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}
