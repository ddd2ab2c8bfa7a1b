//! The body of an invocation.

use std::any::TypeId;

use bytes::Bytes;
use ppio_agent_protocol::InvocationRequest;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::error::Error;

/// The body, and the options that an [`InvocationRequest`] sets for its call.
#[derive(Debug)]
pub(super) struct InvocationBody {
    pub(super) bytes: Bytes,
    pub(super) options: RequestOptions,
}

/// The fields of an [`InvocationRequest`] that the client acts on.
#[derive(Debug, Default, Deserialize)]
pub(super) struct RequestOptions {
    timeout: Option<u64>,
    pub(super) request_id: Option<String>,
}

impl RequestOptions {
    /// How long the caller waits for the response and its stream, in seconds.
    pub(super) fn timeout(&self) -> Result<Option<u64>, Error> {
        if self.timeout == Some(0) {
            return Err(Error::validation("timeout", "must be 1 s or more"));
        }
        Ok(self.timeout)
    }
}

/// Encodes a request: text becomes `{"prompt": text}`, and any other value is serialized as it is.
pub(super) fn encode<T: Serialize + ?Sized>(request: &T) -> Result<InvocationBody, Error> {
    let invalid = |error: serde_json::Error| Error::validation("request", error.to_string());
    let json = serde_json::to_vec(request).map_err(invalid)?;
    // Only the JSON of a string begins with a quotation mark.
    if json.first() == Some(&b'"') {
        let text: String = serde_json::from_slice(&json).map_err(invalid)?;
        return Ok(InvocationBody {
            bytes: Bytes::from(json!({ "prompt": text }).to_string()),
            options: RequestOptions::default(),
        });
    }
    let options = if is_invocation_request::<T>() {
        serde_json::from_slice(&json).map_err(invalid)?
    } else {
        RequestOptions::default()
    };
    Ok(InvocationBody {
        bytes: Bytes::from(json),
        options,
    })
}

/// Whether the type is an [`InvocationRequest`], whose members have a defined meaning. In any other
/// type, a `timeout` may be the agent's own.
fn is_invocation_request<T: ?Sized>() -> bool {
    let id = typeid::of::<T>();
    id == TypeId::of::<InvocationRequest>() || id == TypeId::of::<&InvocationRequest>()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn text_becomes_a_prompt_and_other_types_stay_as_they_are() {
        let text = |request: Result<InvocationBody, Error>| {
            String::from_utf8(request.expect("plain").bytes.to_vec())
        };
        assert_eq!(
            text(encode("a \"b\"")).as_deref(),
            Ok(r#"{"prompt":"a \"b\""}"#)
        );
        assert_eq!(
            text(encode(&String::from("é"))).as_deref(),
            Ok(r#"{"prompt":"é"}"#)
        );
        assert_eq!(text(encode(&json!({"a": 1}))).as_deref(), Ok(r#"{"a":1}"#));
        assert_eq!(text(encode(&[1, 2])).as_deref(), Ok("[1,2]"));
        let request = InvocationRequest::prompt("hi").with_user_id("u");
        assert_eq!(
            text(encode(&request)).as_deref(),
            Ok(r#"{"prompt":"hi","user_id":"u"}"#)
        );
        assert!(encode(&HashMap::from([((1, 2), 3)])).is_err());
    }

    #[test]
    fn only_a_request_of_the_convention_has_options() {
        let request = InvocationRequest::prompt("hi")
            .with_timeout(7)
            .with_request_id("r");
        let other = json!({"timeout": 7, "request_id": "r"});
        for (encoded, expected) in [
            (encode(&request), Some(7)),
            (encode(&&request), Some(7)),
            (encode(&other), None),
            (encode(&InvocationRequest::from(other)), Some(7)),
            (encode("text"), None),
        ] {
            let options = encoded.expect("plain").options;
            let timeout = options.timeout().expect("positive");
            assert_eq!(timeout, expected);
            assert_eq!(options.request_id.is_some(), expected.is_some());
        }
        let never = encode(&request.with_timeout(0)).expect("plain");
        assert!(never.options.timeout().is_err());
    }
}
