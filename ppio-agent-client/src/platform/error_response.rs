//! Errors from unsuccessful responses.

use http::{HeaderMap, StatusCode};
use serde_json::Value;

use crate::config::AuthManager;
use crate::error::Error;
use crate::transport::retry_after;

/// The maximum number of characters of a response that an error quotes.
const MAX_QUOTE: usize = 300;

/// The resource that a call is about, which determines the error for a 404.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Subject {
    Nothing,
    Sandbox(String),
    Template(String),
}

/// Returns the error for an unsuccessful response. Its variant depends on the status and the
/// subject, not on the message, because messages change.
pub(super) fn error_from_response(
    operation: &str,
    subject: &Subject,
    auth: &AuthManager,
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
) -> Error {
    let message = error_message(auth, body).unwrap_or_else(|| {
        let reason = status.canonical_reason().unwrap_or("no explanation");
        reason.to_lowercase()
    });
    match (status, subject) {
        (StatusCode::UNAUTHORIZED, _) => Error::Authentication {
            status: Some(status.as_u16()),
            message,
        },
        (StatusCode::FORBIDDEN, _) => Error::QuotaExceeded { message },
        (StatusCode::TOO_MANY_REQUESTS, _) => Error::RateLimit {
            message,
            retry_after: retry_after(headers),
        },
        (StatusCode::NOT_FOUND, Subject::Sandbox(sandbox_id)) => Error::SessionNotFound {
            sandbox_id: sandbox_id.clone(),
            status: Some(status.as_u16()),
        },
        (StatusCode::NOT_FOUND, Subject::Template(template)) => Error::TemplateNotFound {
            template: template.clone(),
            status: Some(status.as_u16()),
        },
        _ => Error::Runtime {
            operation: operation.to_owned(),
            status: Some(status.as_u16()),
            message,
        },
    }
}

/// Returns the text of an error body: `{"code","message"}`, `{"error"}`, `{"error": {"message"}}`,
/// `{"detail"}`, `{"details"}`, or plain text. Secrets are replaced before the text is shortened,
/// because a truncated secret would not be found.
pub(crate) fn error_message(auth: &AuthManager, body: &[u8]) -> Option<String> {
    let text = match serde_json::from_slice::<Value>(body) {
        Ok(Value::Object(fields)) => ["message", "error", "detail", "details"]
            .into_iter()
            .find_map(|key| match fields.get(key)? {
                Value::String(text) => Some(text.clone()),
                Value::Null => None,
                // An object with a `message` as in OpenAI's protocol and JSON-RPC.
                other => {
                    let text = other["message"].as_str().map(str::to_owned);
                    Some(text.unwrap_or_else(|| other.to_string()))
                }
            })?,
        _ => String::from_utf8_lossy(body).trim().to_owned(),
    };
    (!text.is_empty()).then(|| excerpt(&auth.redact(text)))
}

/// Returns the `error_type` of an error body.
pub(super) fn error_type(body: &[u8]) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Typed {
        error_type: String,
    }
    let typed: Typed = serde_json::from_slice(body).ok()?;
    Some(typed.error_type)
}

fn excerpt(text: &str) -> String {
    match text.char_indices().nth(MAX_QUOTE) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_found_in_every_form() {
        let table: [(&[u8], Option<&str>); 7] = [
            (
                br#"{"code":404,"message":"no such sandbox"}"#,
                Some("no such sandbox"),
            ),
            (br#"{"error":"Invalid JSON: x"}"#, Some("Invalid JSON: x")),
            (br#"{"error":{"a":1}}"#, Some(r#"{"a":1}"#)),
            (
                br#"{"error":{"code":-32600,"message":"no id"}}"#,
                Some("no id"),
            ),
            (b"  bad gateway\n", Some("bad gateway")),
            (b"", None),
            (b"{}", None),
        ];
        let auth = AuthManager::new("sk-123456").expect("well formed");
        for (body, expected) in table {
            assert_eq!(error_message(&auth, body).as_deref(), expected);
        }
        let long = error_message(&auth, "é".repeat(1000).as_bytes()).expect("text");
        assert_eq!(long.chars().count(), MAX_QUOTE + 1);
        let quoting = format!("{}sk-123456", "a".repeat(MAX_QUOTE - 5));
        let text = error_message(&auth, quoting.as_bytes()).expect("text");
        assert!(!text.contains("sk-1"), "{text}");
    }
}
