//! The URLs of receivers, and the addresses to which notifications may be sent.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use http::uri::{Authority, PathAndQuery};
use http::{HeaderValue, Uri};

/// The maximum length of a URL, in bytes.
const MAX_URL: usize = 2048;

/// The URL of a receiver.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) is_secure: bool,
    /// The host, without the brackets of an IPv6 address.
    pub(super) host: String,
    pub(super) port: u16,
    /// The value of the `Host` header.
    pub(super) authority: HeaderValue,
    pub(super) path: PathAndQuery,
}

/// Why a target has no address.
#[derive(Debug, thiserror::Error)]
pub(super) enum AddressError {
    #[error("cannot resolve the host of the URL: {0}")]
    NotResolved(#[from] io::Error),
    #[error(
        "the host of the URL has no public address, and private ones are refused (set \
         PPIO_AGENT_A2A_PUSH_PRIVATE=true to allow them)"
    )]
    NotPublic,
}

impl Target {
    /// Reads a URL.
    ///
    /// # Errors
    /// Returns a text about the URL, such as `has no valid port`.
    pub(super) fn of(url: &str) -> Result<Self, String> {
        if url.len() > MAX_URL {
            return Err(format!("is longer than {MAX_URL} bytes"));
        }
        let uri: Uri = url
            .parse()
            .map_err(|error| format!("is not a URL: {error}"))?;
        let is_secure = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err("must begin with `https://` or `http://`".to_owned()),
        };
        let authority = uri.authority().map(Authority::as_str).unwrap_or_default();
        if authority.contains('@') {
            return Err("has a user name; send `authentication` instead".to_owned());
        }
        let host = uri.host().unwrap_or_default();
        if uri.port_u16().is_none() && authority != host {
            return Err("has no valid port".to_owned());
        }
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let path = uri.path_and_query().cloned();
        Ok(Self {
            is_secure,
            host: host.to_owned(),
            port: uri.port_u16().unwrap_or(if is_secure { 443 } else { 80 }),
            authority: HeaderValue::from_str(authority).map_err(|error| error.to_string())?,
            path: path.unwrap_or(PathAndQuery::from_static("/")),
        })
    }

    /// Whether the address is found without the lookup of a name: the host is an IP address in any
    /// spelling, `localhost`, or a name below `localhost`.
    pub(super) fn is_literal(&self) -> bool {
        let host = self.host.trim_end_matches('.').to_ascii_lowercase();
        let last = host.rsplit('.').next().unwrap_or_default();
        // The rule of the URL standard for hosts that are IPv4 addresses.
        let is_number = !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit());
        host.contains(':') || is_number || last.starts_with("0x") || last == "localhost"
    }

    /// Resolves the host to the addresses to which notifications may be sent.
    pub(super) async fn addresses(
        &self,
        allows_private: bool,
    ) -> Result<Vec<SocketAddr>, AddressError> {
        let found = tokio::net::lookup_host((&*self.host, self.port)).await?;
        let allowed: Vec<_> = found
            .filter(|address| allows_private || is_public(address.ip()))
            .collect();
        if allowed.is_empty() {
            return Err(AddressError::NotPublic);
        }
        Ok(allowed)
    }
}

/// Whether an address is public, and not reserved for a machine, a network or a special purpose.
fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

/// Whether an IPv4 address is public, according to the registry of special addresses,
/// <https://www.iana.org/assignments/iana-ipv4-special-registry>.
fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let is_special = matches!(
        (a, b, c),
        // This network, private networks, loopback, and multicast, reserved and broadcast
        // addresses.
        (0 | 10 | 127 | 224.., ..) | (172, 16..=31, _) | (192, 168, _)
            // Addresses of carrier-grade NAT, and link-local addresses, such as those of the
            // metadata services of clouds.
            | (100, 64..=127, _) | (169, 254, _)
            // Assignments, documentation, relays, benchmarks.
            | (192, 0, 0 | 2) | (198, 51, 100) | (203, 0, 113) | (192, 88, 99) | (198, 18..=19, _)
    );
    !is_special
}

/// Whether an IPv6 address is public, according to
/// <https://www.iana.org/assignments/iana-ipv6-special-registry>.
fn is_public_v6(address: Ipv6Addr) -> bool {
    match address.segments() {
        // An IPv4 address that NAT64 translates.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            is_public_v4(((u32::from(high) << 16) | u32::from(low)).into())
        }
        // Tunnels (which lead to IPv4 addresses), assignments and documentation.
        [0x2001, 0..=0x1ff | 0xdb8, ..] | [0x2002, ..] | [0x3fff, 0..=0xfff, ..] => false,
        [0x2000..=0x3fff, ..] => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_the_internet_are_public() {
        for address in [
            "1.1.1.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.169.0.1",
            "100.128.0.1",
            "223.255.255.255",
            "2606:4700:4700::1111",
            "2001:4860:4860::8888",
            "::ffff:1.1.1.1",
            "64:ff9b::1.1.1.1",
        ] {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
        for address in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "127.0.0.1",
            "127.255.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::10.0.0.1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::1",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fd12:3456::1",
            "fe80::1",
            "ff02::1",
        ] {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
    }

    #[tokio::test]
    async fn a_private_host_has_no_address_in_any_spelling() {
        for host in [
            "127.0.0.1",
            "127.1",
            "2130706433",
            "0x7f000001",
            "0x7f.0.0.1",
            "0177.0.0.1",
            "127.0.0.1.",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "[0:0:0:0:0:0:0:1]",
            "0",
            "0.0.0.0",
            "localhost",
            "LocalHost.",
            "a.localhost",
            "169.254.169.254",
        ] {
            let target = Target::of(&format!("http://{host}:1/")).unwrap();
            assert!(target.is_literal(), "{host}");
            // A spelling that the system cannot resolve is refused as well.
            assert!(target.addresses(false).await.is_err(), "{host}");
        }
        // A name is resolved in the same way when a notification is sent.
        let target = Target::of("http://localhost:1/").unwrap();
        let refused = target.addresses(false).await.unwrap_err();
        assert!(matches!(refused, AddressError::NotPublic), "{refused}");
        assert!(!target.addresses(true).await.unwrap().is_empty());
        for host in ["example.com", "1.example", "127.0.0.1.example.com"] {
            let target = Target::of(&format!("https://{host}")).unwrap();
            assert!(!target.is_literal(), "{host}");
            assert_eq!((target.port, target.path.as_str()), (443, "/"));
        }
    }

    #[test]
    fn invalid_urls_are_refused() {
        let long = format!("https://example.com/{}", "a".repeat(MAX_URL));
        for url in [
            "",
            "/path",
            "example.com",
            "ftp://example.com/",
            "file:///etc/passwd",
            "http://",
            "https://user:secret@example.com/",
            "https://example.com:99999/",
            "https://exa mple.com/",
            "https://example.com/\r\nhost: a",
            &long,
        ] {
            assert!(Target::of(url).is_err(), "{url}");
        }
    }
}
