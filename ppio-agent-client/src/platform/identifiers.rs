//! Validation of ids and host names, from callers and from responses.
//!
//! An id becomes a segment of a path and a label of a host name. With the id `x.evil:19002/?`, a
//! response of the control plane would send a sandbox's traffic, and the tokens in its headers, to
//! another host.

use super::call::encode;
use crate::error::Error;

/// The maximum length of an id, in bytes. Ids have about 20 characters, and older platforms join
/// two ids.
const MAX_ID: usize = 128;

/// The maximum length of a domain, in bytes: the longest host name in DNS, and a port.
const MAX_DOMAIN: usize = 253 + ":65535".len();

/// The maximum number of characters of a value that an error quotes.
const MAX_QUOTE: usize = 60;

const ID_RULE: &str = "is not an id, which is 1 to 128 ASCII letters, digits, `-` and `_`";

fn is_id(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=MAX_ID).contains(&text.len()) && text.bytes().all(allowed)
}

/// Whether `text` is a host name with an optional port.
pub(super) fn is_domain(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    };
    let is_label = |label: &str| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        (1..=63).contains(&label.len()) && label.bytes().all(allowed)
    };
    let is_port = |port: &str| {
        port.bytes().all(|byte| byte.is_ascii_digit())
            && port.parse::<u16>().is_ok_and(|port| port > 0)
    };
    text.len() <= MAX_DOMAIN && host.split('.').all(is_label) && port.is_none_or(is_port)
}

/// Whether `domain` is `parent` or a subdomain of it, with the same port.
pub(super) fn is_at_or_below(domain: &str, parent: &str) -> bool {
    let (domain, parent) = (domain.as_bytes(), parent.as_bytes());
    let Some(start) = domain.len().checked_sub(parent.len()) else {
        return false;
    };
    domain[start..].eq_ignore_ascii_case(parent) && (start == 0 || domain[start - 1] == b'.')
}

fn excerpt(text: &str) -> String {
    match text.char_indices().nth(MAX_QUOTE) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}

/// Checks a sandbox id from a caller.
pub(super) fn sandbox_id(id: &str) -> Result<&str, Error> {
    if is_id(id) {
        return Ok(id);
    }
    let message = format!("{} {ID_RULE}", excerpt(id));
    Err(Error::validation("sandbox_id", message))
}

/// Encodes an id or alias from a caller as one segment of a path.
///
/// Encoding alone is not enough: `.` and `..` cannot be encoded, and a path with an empty segment
/// is another route.
pub(super) fn segment(field: &str, text: &str) -> Result<String, Error> {
    if !text.contains('/') {
        return name(field, text);
    }
    let message = format!("{} must not contain `/`", excerpt(text));
    Err(Error::validation(field, message))
}

/// Encodes a name from a caller as one segment of a path. Unlike for [`segment`], the name may have
/// an owner: `team/agent`.
pub(super) fn name(field: &str, text: &str) -> Result<String, Error> {
    check_name(field, text)?;
    Ok(encode(text))
}

/// Rejects a name that would turn the path into another route.
pub(crate) fn check_name(field: &str, text: &str) -> Result<(), Error> {
    if text.is_empty() {
        return Err(Error::validation(field, "must not be empty"));
    }
    let is_relative = |part: &str| matches!(part, "" | "." | "..");
    if text.split('/').any(is_relative) || text.chars().any(char::is_control) {
        let message = format!("{} is not an id, an alias or a name", excerpt(text));
        return Err(Error::validation(field, message));
    }
    Ok(())
}

/// Rejects a response whose `field` is not an id.
pub(super) fn check_response_id(operation: &str, field: &str, id: &str) -> Result<(), Error> {
    if is_id(id) {
        return Ok(());
    }
    let message = format!("the response's {field} {} {ID_RULE}", excerpt(id));
    Err(Error::protocol(operation, message))
}

/// Rejects a response whose domain is not a host name with an optional port.
pub(super) fn check_response_domain(operation: &str, domain: Option<&str>) -> Result<(), Error> {
    match domain.filter(|domain| !domain.is_empty()) {
        Some(domain) if !is_domain(domain) => {
            let message = format!(
                "the response's domain {} is not a host name with an optional port",
                excerpt(domain)
            );
            Err(Error::protocol(operation, message))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values that are neither an id nor a segment nor a domain.
    const HOSTILE: [&str; 17] = [
        "",
        ".",
        "..",
        "a/b",
        "../templates",
        "x.evil:19002/?",
        "x@evil",
        "x:y@evil.example",
        "a?b",
        "a#b",
        "a b",
        "a\r\nx: y",
        "a%2fb",
        "a\\b",
        "é",
        "\0",
        "[::1]",
    ];

    #[test]
    fn an_id_is_letters_digits_hyphens_and_underscores() {
        for id in [
            "i8smyoaa573q2enva5am",
            "sb_1",
            "abc-6532622b",
            &"x".repeat(128),
        ] {
            assert!(is_id(id), "{id}");
        }
        for id in HOSTILE.into_iter().chain([&*"x".repeat(129)]) {
            assert!(!is_id(id), "{id:?}");
            assert!(sandbox_id(id).is_err(), "{id:?}");
            assert!(
                check_response_id("get sandbox", "sandboxID", id).is_err(),
                "{id:?}"
            );
        }
    }

    #[test]
    fn a_domain_is_a_host_name_with_an_optional_port() {
        for domain in [
            "sandbox.ppio.cn",
            "localhost:3000",
            "localhost",
            "10.0.0.1:80",
            "a_b.c",
        ] {
            assert!(is_domain(domain), "{domain}");
        }
        let long = format!("{}.example", "x".repeat(64));
        let others = [
            "a..b", ".a", "a.", "a:", "a:0", "a:65536", "a:+1", "a:b", ":80", &long,
        ];
        for domain in HOSTILE.into_iter().chain(others) {
            assert!(!is_domain(domain), "{domain:?}");
        }
    }

    #[test]
    fn a_subdomain_adds_whole_labels() {
        for (domain, parent) in [
            ("sandbox.ppio.cn", "sandbox.ppio.cn"),
            ("us-1.SANDBOX.ppio.cn", "sandbox.ppio.cn"),
            ("a.localhost:3000", "localhost:3000"),
        ] {
            assert!(is_at_or_below(domain, parent), "{domain} {parent}");
        }
        for (domain, parent) in [
            ("evilsandbox.ppio.cn", "sandbox.ppio.cn"),
            ("sandbox.ppio.cn.evil.example", "sandbox.ppio.cn"),
            ("ppio.cn", "sandbox.ppio.cn"),
            ("localhost:3001", "localhost:3000"),
            ("localhost", "localhost:3000"),
        ] {
            assert!(!is_at_or_below(domain, parent), "{domain} {parent}");
        }
    }

    #[test]
    fn a_name_may_have_an_owner_and_is_encoded() {
        let encoded = name("alias", "team/agent:v1").expect("a name");
        assert_eq!(encoded, "team%2Fagent%3Av1");
        assert!(segment("template_id", "team/agent").is_err());
        for text in ["", ".", "..", "/", "a/", "/a", "a//b", "a/../b", "a\n"] {
            assert!(name("alias", text).is_err(), "{text:?}");
            assert!(segment("template_id", text).is_err(), "{text:?}");
        }
    }
}
