//! The body of an invocation.

use bytes::Bytes;
use serde::Serialize;
use serde_json::json;

use crate::error::Error;

/// Text becomes `{"prompt": text}`; everything else is sent as it serializes.
pub(super) fn encode(request: &(impl Serialize + ?Sized)) -> Result<Bytes, Error> {
    let invalid = |error: serde_json::Error| Error::validation("request", error.to_string());
    let json = serde_json::to_vec(request).map_err(invalid)?;
    // Only the JSON of a string begins with a quotation mark.
    if json.first() == Some(&b'"') {
        let text: String = serde_json::from_slice(&json).map_err(invalid)?;
        return Ok(Bytes::from(json!({ "prompt": text }).to_string()));
    }
    Ok(Bytes::from(json))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use ppio_agent_protocol::InvocationRequest;

    use super::*;

    #[test]
    fn text_becomes_a_prompt_and_other_types_stay_as_they_are() {
        let text =
            |request: Result<Bytes, Error>| String::from_utf8(request.expect("plain").to_vec());
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
}
