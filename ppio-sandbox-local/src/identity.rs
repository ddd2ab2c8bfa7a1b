//! Ids and secrets, all from the operating system's random source.

use uuid::Uuid;

/// Returns a new sandbox or template id: lower-case letters and digits only, so that it can be part
/// of a host name between the dashes that separate it from the port and the client id.
pub(crate) fn short_id(prefix: char) -> String {
    const ALPHABET: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
    let mut bits = Uuid::new_v4().as_u128();
    let mut id = String::with_capacity(20);
    id.push(prefix);
    for _ in 0..19 {
        id.push(char::from(ALPHABET[(bits % 36) as usize]));
        bits /= 36;
    }
    id
}

/// Whether `text` has the form of a [`short_id`] with this prefix.
pub(crate) fn is_short_id(prefix: char, text: &str) -> bool {
    text.len() == 20
        && text.starts_with(prefix)
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

/// Returns a new build id. Existing clients parse it as a UUID.
pub(crate) fn build_id() -> String {
    Uuid::new_v4().to_string()
}

/// Returns a number that no other program is likely to use: 61 random bits, always 19 decimal
/// digits long, and small enough for the integers of every shell.
pub(crate) fn rare_number() -> u64 {
    let (random, _) = Uuid::new_v4().as_u64_pair();
    (1 << 61) | (random >> 3)
}

/// Returns 244 random bits as hexadecimal text.
pub(crate) fn secret() -> String {
    format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple())
}

/// Compares two secrets in a time that depends on their lengths only.
pub(crate) fn constant_time_eq(left: &[u8], right: &[u8]) -> bool {
    left.len() == right.len()
        && left
            .iter()
            .zip(right)
            .fold(0, |difference, (a, b)| difference | (a ^ b))
            == 0
}

/// The client id of every sandbox, which names the node. Old clients append it to the sandbox id.
pub(crate) const CLIENT_ID: &str = "local";

/// The vendors whose clients use this interface, as their headers name them.
pub(crate) const CLIENT_FAMILIES: [&str; 3] = ["ppio", "e2b", "novita"];

/// Drops the `-{clientID}` that old clients append to a sandbox id.
pub(crate) fn without_client_id(id: &str) -> &str {
    id.split_once('-').map_or(id, |(id, _)| id)
}

/// Whether `text` can be the id of a sandbox, which becomes part of host names and paths.
pub(crate) fn is_sandbox_id(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_valid_in_a_host_name() {
        let id = short_id('i');
        assert!(is_short_id('i', &id), "{id}");
        for other in ["i", "t0000000000000000000", "i000000000000000000A"] {
            assert!(!is_short_id('i', other), "{other}");
        }
        assert_ne!(id, short_id('i'));
    }

    #[test]
    fn rare_numbers_have_one_length() {
        for _ in 0..100 {
            let number = rare_number();
            assert!((1 << 61..1 << 62).contains(&number), "{number}");
            assert_eq!(number.to_string().len(), 19);
        }
    }

    #[test]
    fn client_ids_are_dropped() {
        assert_eq!(without_client_id("iabc-local"), "iabc");
        assert_eq!(without_client_id("iabc"), "iabc");
    }
}
