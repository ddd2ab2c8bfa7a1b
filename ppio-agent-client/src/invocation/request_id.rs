//! The name of one invocation, on both sides.

use http::{HeaderMap, HeaderName};
use ppio_agent_protocol::headers;

/// A random (version 4) UUID, as the agents' own ids are: what is searched for in a log looks the
/// same wherever it came from.
pub(super) fn random() -> String {
    let bits = fastrand::u128(..);
    let versioned = bits & !(0xf << 76) | (0x4 << 76);
    let id = versioned & !(0x3 << 62) | (0x2 << 62);
    let part = |shift: u32, digits: u32| (id >> shift) & ((1 << (4 * digits)) - 1);
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        part(96, 8),
        part(80, 4),
        part(64, 4),
        part(48, 4),
        part(0, 12)
    )
}

/// The id that an answer names, which is what its agent logs: an agent need not take the caller's.
pub(super) fn answered(response: &HeaderMap) -> Option<&str> {
    [headers::REQUEST_ID, headers::AGENT_CORE_REQUEST_ID]
        .into_iter()
        .find_map(|name| response.get(HeaderName::from_static(name)))
        .and_then(|id| id.to_str().ok())
        .filter(|id| !id.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_id_is_a_uuid_of_version_4() {
        let mut last = String::new();
        for _ in 0..100 {
            let id = random();
            let groups: Vec<_> = id.split('-').map(str::len).collect();
            assert_eq!(groups, [8, 4, 4, 4, 12], "{id}");
            assert_eq!(id.as_bytes()[14], b'4', "{id}");
            assert!(b"89ab".contains(&id.as_bytes()[19]), "{id}");
            assert_ne!(id, last);
            last = id;
        }
    }
}
