//! Reads the body of an invocation and parses it into the request type.

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, ORIGIN};
use http::{HeaderMap, HeaderValue};
use serde::de::{DeserializeOwned, IgnoredAny};

use super::mismatch::{self, reason};
use crate::exchange::body::Body;
use crate::exchange::error::Error;
use crate::exchange::rejection::Rejection;

/// U+FEFF, which some programs write before UTF-8 text.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// Checks the headers and reads the body. A byte order mark is removed.
pub(crate) async fn read(headers: &HeaderMap, mut body: Body) -> Result<Bytes, Error> {
    check_headers(headers)?;
    read_body(&mut body).await
}

/// Reads the body. A byte order mark is removed.
pub(super) async fn read_body(body: &mut Body) -> Result<Bytes, Error> {
    let mut body = body.read().await?;
    if body.starts_with(BYTE_ORDER_MARK) {
        body = body.split_off(BYTE_ORDER_MARK.len());
    }
    Ok(body)
}

pub(super) fn check_headers(headers: &HeaderMap) -> Result<(), Rejection> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    // Browsers send forms, plain text and bytes without a type across origins without a preflight.
    // Since only JSON is accepted, they have to send a preflight, which the CORS settings answer.
    let is_json_type =
        |found: &HeaderValue| found == "application/json" || found.to_str().is_ok_and(is_json);
    // One pass, as in `RequestHeaders::of`. Every value of a repeated header has to be valid.
    let (mut has_type, mut is_page) = (false, false);
    for (name, found) in headers {
        // An empty content type counts as missing.
        if name == CONTENT_TYPE && !found.as_bytes().trim_ascii().is_empty() {
            if !is_json_type(found) {
                return Err(Rejection::NotJson { found: text(found) });
            }
            has_type = true;
        }
        is_page |= name == ORIGIN;
        if name == CONTENT_ENCODING && !found.as_bytes().eq_ignore_ascii_case(b"identity") {
            return Err(Rejection::Encoded { found: text(found) });
        }
    }
    if is_page && !has_type {
        return Err(Rejection::NoContentType);
    }
    Ok(())
}

/// Whether a content type is `application/json`, `text/json` or `application/<anything>+json`, with
/// any parameters.
fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    let Some((kind, subtype)) = essence.split_once('/') else {
        return false;
    };
    subtype.eq_ignore_ascii_case("json")
        && (kind.eq_ignore_ascii_case("application") || kind.eq_ignore_ascii_case("text"))
        || kind.eq_ignore_ascii_case("application")
            && subtype.len() > "+json".len()
            && subtype
                .get(subtype.len() - "+json".len()..)
                .is_some_and(|end| end.eq_ignore_ascii_case("+json"))
}

/// Parses a body into the request type.
///
/// A valid body is read once. An invalid body is read again to distinguish 400 (not JSON) from 422
/// (JSON of another type) and to find the place of the error in the body.
pub(crate) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Error> {
    let text = std::str::from_utf8(body).map_err(|error| Rejection::NotUtf8 {
        offset: error.valid_up_to(),
    })?;
    serde_json::from_str(text).map_err(|error| explain::<T>(text, &error).into())
}

fn explain<T: DeserializeOwned>(text: &str, error: &serde_json::Error) -> Rejection {
    if text.trim_ascii().is_empty() {
        return Rejection::EmptyBody;
    }
    // The whole body is checked, since a syntax error may follow the field at fault.
    if let Err(error) = serde_json::from_str::<IgnoredAny>(text) {
        return invalid(&error);
    }
    if reason(error) == "recursion limit exceeded" {
        return invalid(error);
    }
    mismatch::explain::<T>(text, error)
}

fn invalid(error: &serde_json::Error) -> Rejection {
    Rejection::InvalidJson {
        line: error.line(),
        column: error.column(),
        reason: reason(error),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[derive(Debug, serde::Deserialize)]
    struct Order {
        #[expect(dead_code, reason = "only its type matters")]
        items: Vec<Item>,
    }

    #[derive(Debug, serde::Deserialize)]
    struct Item {
        #[expect(dead_code, reason = "only its type matters")]
        count: u32,
    }

    #[test]
    fn an_invalid_body_is_rejected_with_its_position() {
        let deep = "[".repeat(200) + &"]".repeat(200);
        for (body, status, text) in [
            ("", 400, "is empty"),
            (" \n", 400, "is empty"),
            ("{\"a\":", 400, "line 1 column 5"),
            ("{\"a\":\n nope}", 400, "line 2 column 3"),
            ("{} {}", 400, "trailing"),
            (deep.as_str(), 400, "recursion limit"),
        ] {
            let error = parse::<Value>(body.as_bytes()).unwrap_err();
            assert_eq!(error.status(), status, "{body}");
            assert!(error.message().contains(text), "{body}: {error}");
        }
        let error = parse::<Value>(b"{\"a\":\"\xff\"}").unwrap_err();
        assert_eq!(error.status(), 400);
        assert!(error.message().contains("offset 6"), "{error}");
    }

    #[test]
    fn a_field_of_another_type_is_named() {
        let error = parse::<Order>(br#"{"items":[{"count":1},{"count":"x"}]}"#).unwrap_err();
        assert_eq!(error.status(), 422);
        assert!(error.message().contains("`items[1].count`"), "{error}");
        let error = parse::<Order>(b"[1]").unwrap_err();
        assert_eq!(error.status(), 422);
        let error = parse::<Order>(br#"{"items":[{"count":"x"}], nope"#).unwrap_err();
        assert_eq!(error.status(), 400, "a syntax error comes first");
    }

    #[test]
    fn json_is_recognized_by_its_content_type() {
        for good in [
            "application/json",
            "Application/JSON; charset=utf-8",
            "application/ld+json",
            "text/json",
        ] {
            assert!(is_json(good), "{good}");
        }
        for bad in [
            "",
            "json",
            "text/plain",
            "application/x-www-form-urlencoded",
            "application/+json",
            "image/a+json",
            "application/é+json/",
        ] {
            assert!(!is_json(bad), "{bad}");
        }
    }
}
