//! Host names and addresses of requests, and which of them name this machine.

use std::net::IpAddr;

/// Whether an authority names this machine and no other: `localhost`, a name under it, or a
/// loopback address, with or without a port.
///
/// Names under `localhost` resolve to loopback by RFC 6761, section 6.3. An IPv6 address may be in
/// brackets, and an IPv4 address may be mapped to IPv6. A domain that merely resolves to loopback
/// is not this machine, since the owner of a web page can own such a domain (DNS rebinding).
///
/// ```
/// use ppio_agent_protocol::host::is_loopback;
///
/// assert!(is_loopback("8080-iabc.localhost:3000"));
/// assert!(!is_loopback("localhost.example.com"));
/// ```
pub fn is_loopback(authority: &str) -> bool {
    let host = bare(without_port(authority));
    if host.eq_ignore_ascii_case("localhost") {
        return true;
    }
    if let Ok(address) = host.parse::<IpAddr>() {
        return address.to_canonical().is_loopback();
    }
    host.len()
        .checked_sub(".localhost".len())
        .and_then(|end| host.split_at_checked(end))
        .is_some_and(|(label, domain)| {
            domain.eq_ignore_ascii_case(".localhost")
                && !label.is_empty()
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
        })
}

/// Returns an authority without its port, if it has one.
///
/// The colons of an IPv6 address without brackets do not begin a port.
pub fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port))
            if port.bytes().all(|byte| byte.is_ascii_digit())
                && (host.ends_with(']') || !host.contains(':')) =>
        {
            host
        }
        _ => authority,
    }
}

/// Returns a host without the brackets of an IPv6 address or without the dot at the end of a
/// complete name.
pub fn bare(host: &str) -> &str {
    match host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
    {
        Some(address) => address,
        None => host.strip_suffix('.').unwrap_or(host),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_names_and_addresses_are_recognized() {
        for authority in [
            "localhost",
            "localhost:8080",
            "LocalHost:",
            "LOCALHOST:8080",
            "localhost.",
            "localhost.:80",
            "8080-iabc.localhost:3000",
            "a.b.localhost",
            "a.b.Localhost.",
            "a_b.localhost",
            "127.0.0.1",
            "127.0.0.1:8080",
            "127.255.0.9",
            "[::1]",
            "[::1]:8080",
            "::1",
            "[0:0:0:0:0:0:0:1]",
            "[::ffff:127.0.0.1]",
            "[::ffff:127.9.9.9]:80",
            "::ffff:127.0.0.1",
        ] {
            assert!(is_loopback(authority), "{authority}");
        }
        for authority in [
            "",
            ".",
            ":8080",
            ".localhost",
            "localhost..",
            "localhost.example",
            "localhost.evil.example",
            "mylocalhost",
            "evillocalhost",
            "localhost:80:80",
            "localhost:80x",
            "localhost@evil.example",
            "a@b.localhost",
            "evil.example/.localhost",
            "evil.example",
            "evil.example:8080",
            "ppio.cn",
            "127.0.0.1.example",
            "127.0.0.1.nip.io",
            "127.0.0.1:8080.example",
            "128.0.0.1",
            "0.0.0.0",
            "10.0.0.1",
            "192.168.0.1:8080",
            "[::2]",
            "[::]",
            "[::ffff:10.0.0.1]",
            "[::1]x",
            "[::1",
            "::1]",
            "::1:8080",
            "[localhost",
            "é.localhost",
            "évil",
        ] {
            assert!(!is_loopback(authority), "{authority}");
        }
    }

    #[test]
    fn a_port_is_digits_after_the_host() {
        for (authority, host) in [
            ("a:80", "a"),
            ("a:", "a"),
            ("a", "a"),
            ("a:b", "a:b"),
            ("[::1]:80", "[::1]"),
            ("[::1]", "[::1]"),
            ("::1", "::1"),
            ("a:1:2", "a:1:2"),
        ] {
            assert_eq!(without_port(authority), host, "{authority}");
        }
    }

    #[test]
    fn a_bare_host_has_neither_brackets_nor_a_final_dot() {
        for (host, expected) in [
            ("[::1]", "::1"),
            ("a.example.", "a.example"),
            ("a.example", "a.example"),
            ("[::1", "[::1"),
            ("", ""),
        ] {
            assert_eq!(bare(host), expected, "{host}");
        }
    }
}
