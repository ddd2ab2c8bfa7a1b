//! Host names: which of them are names of this machine, and for which hosts an agent on a loopback
//! address serves requests.

pub(crate) use ppio_agent_protocol::host::{bare, is_loopback, without_port};

/// The hosts that an agent on a loopback address serves, in addition to the names of loopback.
///
/// A page whose own name resolves to 127.0.0.1 (DNS rebinding) has the same origin as such an
/// agent; only the `Host` of its requests differs.
#[derive(Debug, Clone, Default)]
pub(crate) struct AllowedHosts {
    any: bool,
    names: Vec<String>,
}

impl AllowedHosts {
    /// Parses host names and addresses without a port; `*` allows every host.
    pub(crate) fn new(hosts: &[String]) -> Result<Self, String> {
        let mut allowed = Self::default();
        for host in hosts {
            if host == "*" {
                allowed.any = true;
            } else if is_valid(host.as_bytes()) && !host.is_empty() && without_port(host) == host {
                allowed.allow(host);
            } else {
                return Err(format!(
                    "{host:?} in PPIO_AGENT_ALLOWED_HOSTS or `RuntimeConfig::allowed_hosts` is \
                     not a host name such as agent.example.com"
                ));
            }
        }
        Ok(allowed)
    }

    /// Adds a host.
    pub(crate) fn allow(&mut self, host: &str) {
        self.names.push(bare(host).to_ascii_lowercase());
    }

    /// Whether requests for `authority`, a host with or without a port, are served.
    pub(crate) fn allows(&self, authority: &[u8]) -> bool {
        self.any
            || is_usual(authority)
            || std::str::from_utf8(authority).is_ok_and(|authority| {
                is_loopback(authority) || {
                    let host = bare(without_port(authority));
                    self.names
                        .iter()
                        .any(|name| host.eq_ignore_ascii_case(name))
                }
            })
    }
}

/// Whether `authority` is one that local clients usually send. Every request to an agent on
/// loopback is checked, so the usual authorities are accepted without parsing.
fn is_usual(authority: &[u8]) -> bool {
    let rest = authority
        .strip_prefix(b"127.0.0.1")
        .or_else(|| authority.strip_prefix(b"localhost"));
    match rest {
        Some([b':', port @ ..]) => port.iter().all(u8::is_ascii_digit),
        Some(rest) => rest.is_empty(),
        None => false,
    }
}

/// Whether the bytes can be the value of a `Host` header (RFC 9110, section 7.2).
pub(crate) fn is_valid(host: &[u8]) -> bool {
    is_usual(host)
        || host.iter().all(|byte| {
            byte.is_ascii_alphanumeric()
                || matches!(
                    byte,
                    b'.' | b'-'
                        | b':'
                        | b'_'
                        | b'~'
                        | b'%'
                        | b'['
                        | b']'
                        | b'!'
                        | b'$'
                        | b'&'
                        | b'\''
                        | b'('
                        | b')'
                        | b'*'
                        | b'+'
                        | b','
                        | b';'
                        | b'='
                )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_hosts_are_allowed_by_name_and_with_any_port() {
        let hosts = ["Agent.Example".to_owned(), "10.0.0.1".to_owned()];
        let mut allowed = AllowedHosts::new(&hosts).unwrap();
        allowed.allow("my-box");
        for good in [
            "agent.example",
            "AGENT.example:443",
            "agent.example.",
            "10.0.0.1:80",
            "my-box:8080",
            "localhost",
        ] {
            assert!(allowed.allows(good.as_bytes()), "{good}");
        }
        for bad in [
            "agent.example.evil",
            "x.agent.example",
            "10.0.0.2",
            "",
            "\u{ff}",
        ] {
            assert!(!allowed.allows(bad.as_bytes()), "{bad}");
        }
        assert!(
            AllowedHosts::new(&["*".into()])
                .unwrap()
                .allows(b"anything")
        );
        assert!(
            AllowedHosts::new(&["[::2]".into()])
                .unwrap()
                .allows(b"[::2]:80")
        );
    }

    #[test]
    fn an_invalid_host_name_is_refused() {
        for bad in ["", "https://a", "a/b", "a:80", "a b", "u@a"] {
            assert!(AllowedHosts::new(&[bad.into()]).is_err(), "{bad}");
        }
    }
}
