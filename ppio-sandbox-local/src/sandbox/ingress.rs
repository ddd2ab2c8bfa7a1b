//! How requests reach the ports of a sandbox.

use axum::http::HeaderValue;
use axum::http::uri::Authority;

use crate::identity;

/// The part of a host mask that stands for the port of the sandbox.
const PORT: &str = "${PORT}";

/// How requests reach the ports of a sandbox.
#[derive(Debug, Clone, Default)]
pub(crate) struct SandboxIngress {
    /// The token that requests must carry; `None` if the ports are public.
    pub(crate) traffic_token: Option<String>,
    pub(crate) host_mask: Option<HostMask>,
}

impl SandboxIngress {
    /// Returns the same settings for another sandbox, with a new token.
    pub(crate) fn for_another(&self) -> Self {
        Self {
            traffic_token: self.traffic_token.as_ref().map(|_| identity::secret()),
            host_mask: self.host_mask.clone(),
        }
    }
}

/// The `Host` that servers in a sandbox see instead of the caller's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HostMask(String);

impl HostMask {
    /// Reads a host name with an optional port, in which `${PORT}` stands for the port of the
    /// sandbox. `None` for anything else.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mask = Self(text.to_owned());
        let host = mask.text(1).parse::<Authority>().ok()?;
        let is_plain = !host.host().is_empty() && !host.as_str().contains('@');
        is_plain.then_some(mask)
    }

    pub(crate) fn host(&self, port: u16) -> Option<HeaderValue> {
        HeaderValue::try_from(self.text(port)).ok()
    }

    fn text(&self, port: u16) -> String {
        self.0.replace(PORT, &port.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_are_host_names() {
        for (mask, host) in [
            ("localhost:${PORT}", "localhost:8080"),
            ("${PORT}.example.com", "8080.example.com"),
            ("example.com", "example.com"),
            ("[::1]:80", "[::1]:80"),
        ] {
            let mask = HostMask::parse(mask).unwrap();
            assert_eq!(mask.host(8080).unwrap(), host);
        }
        for mask in [
            "",
            "a b",
            "http://a",
            "a/b",
            "a\r\nb: c",
            "u@a",
            ":80",
            "${NAME}",
        ] {
            assert_eq!(HostMask::parse(mask), None, "{mask:?}");
        }
    }
}
