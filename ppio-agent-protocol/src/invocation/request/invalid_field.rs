//! The error of a field that could not be set.

use serde::ser::{Error as _, Serialize, Serializer};
use serde_json::{Map, Value};

/// The error of the first field that could not be set, if there is one. Serializing returns this
/// error.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct InvalidField(Option<String>);

impl InvalidField {
    pub(super) fn is_none(&self) -> bool {
        self.0.is_none()
    }

    /// Returns the value as an object; otherwise keeps the error and returns `None`.
    pub(super) fn object(
        &mut self,
        field: &str,
        value: impl Serialize,
    ) -> Option<Map<String, Value>> {
        let kind = match serde_json::to_value(value) {
            Ok(Value::Object(object)) => return Some(object),
            Ok(Value::Null) => "null",
            Ok(Value::Bool(_)) => "a boolean",
            Ok(Value::Number(_)) => "a number",
            Ok(Value::String(_)) => "a string",
            Ok(Value::Array(_)) => "an array",
            Err(error) => {
                self.0.get_or_insert_with(|| format!("{field}: {error}"));
                return None;
            }
        };
        self.0.get_or_insert_with(|| {
            format!("{field}: must serialize to a JSON object, not to {kind}")
        });
        None
    }
}

impl Serialize for InvalidField {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Some(error) => Err(S::Error::custom(error)),
            None => serializer.serialize_none(),
        }
    }
}
