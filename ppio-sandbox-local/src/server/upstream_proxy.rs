//! The proxy that the machine needs for connections to other hosts.
//!
//! `local env` replaces the variables of the caller's proxy by those of the platform. The platform
//! still has the caller's variables in its environment, and passes connections on to the caller's
//! proxy.

use std::io;

use axum::http::Uri;
use axum::http::uri::{Authority, Scheme};
use ppio_agent_protocol::environment;
use ppio_agent_protocol::host::is_loopback;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::host_name::normalized;

/// The longest status line and headers of a proxy's answer, in bytes.
const MAX_HEADERS: usize = 16 * 1024;
/// The port of a proxy whose URL has none.
const DEFAULT_PORT: u16 = 80;

/// A proxy for `CONNECT`, reached without TLS. A user and a password in the proxy's URL are not
/// sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct UpstreamProxy(Authority);

/// Returns the proxy for `host` that this process's environment names. `None` for a loopback host,
/// a host in `no_proxy`, and a proxy that is not reached over plain HTTP.
pub(super) fn for_host(host: &str) -> Option<UpstreamProxy> {
    let variable = |names: [&str; 2]| names.into_iter().find_map(environment::text);
    let proxy = variable(["https_proxy", "HTTPS_PROXY"])?;
    choose(
        host,
        &proxy,
        &variable(["no_proxy", "NO_PROXY"]).unwrap_or_default(),
    )
}

fn choose(host: &str, proxy: &str, direct: &str) -> Option<UpstreamProxy> {
    let host = normalized(host);
    let is_direct = direct.split(',').map(str::trim).any(|name| {
        let name = normalized(name.trim_start_matches("*.").trim_start_matches('.'));
        let is_below = host
            .strip_suffix(&name)
            .is_some_and(|rest| rest.ends_with('.'));
        name == "*" || (!name.is_empty() && (host == name || is_below))
    });
    if is_direct || is_loopback(&host) {
        return None;
    }
    let uri: Uri = if proxy.contains("://") {
        proxy.parse().ok()?
    } else {
        format!("http://{proxy}").parse().ok()?
    };
    let is_plain = uri.scheme() == Some(&Scheme::HTTP);
    // A loopback proxy is the platform itself: `local env` was evaluated before the platform
    // started.
    let authority = uri.authority()?;
    (is_plain && !is_loopback(authority.host())).then(|| UpstreamProxy(authority.clone()))
}

impl UpstreamProxy {
    /// Opens a tunnel to `target` through the proxy.
    pub(super) async fn connect(&self, target: &Authority) -> io::Result<TcpStream> {
        let port = self.0.port_u16().unwrap_or(DEFAULT_PORT);
        let mut stream = TcpStream::connect((self.0.host(), port)).await?;
        let head = format!("CONNECT {target} HTTP/1.1\r\nhost: {target}\r\n\r\n");
        stream.write_all(head.as_bytes()).await?;
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            if answer.len() == MAX_HEADERS {
                return Err(io::Error::other(
                    "the proxy of this machine sent too many headers",
                ));
            }
            answer.push(stream.read_u8().await?);
        }
        let line = String::from_utf8_lossy(&answer);
        let line = line.lines().next().unwrap_or_default();
        if line
            .split(' ')
            .nth(1)
            .is_some_and(|status| status.starts_with('2'))
        {
            return Ok(stream);
        }
        Err(io::Error::other(format!(
            "the proxy of this machine answered {line:?}"
        )))
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_tunnel_is_opened_through_the_proxy() {
        for (answer, is_open) in [
            ("HTTP/1.1 200 Connection established\r\n\r\n", true),
            ("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", false),
        ] {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let proxy = tokio::spawn(async move {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(stream.read_u8().await.unwrap());
                }
                stream.write_all(answer.as_bytes()).await.unwrap();
                stream.write_all(b"through").await.unwrap();
                String::from_utf8(head).unwrap()
            });
            let upstream = UpstreamProxy(address.to_string().parse().unwrap());
            let tunnel = upstream.connect(&"example.com:443".parse().unwrap()).await;
            let head = proxy.await.unwrap();
            assert!(
                head.starts_with("CONNECT example.com:443 HTTP/1.1\r\n"),
                "{head}"
            );
            assert_eq!(tunnel.is_ok(), is_open, "{answer}");
            if let Ok(mut tunnel) = tunnel {
                let mut content = String::new();
                tunnel.read_to_string(&mut content).await.unwrap();
                assert_eq!(content, "through");
            }
        }
    }

    #[test]
    fn a_proxy_is_used_where_the_environment_says_so() {
        for (host, proxy, direct, expected) in [
            ("example.com", "http://proxy:3128", "", Some("proxy:3128")),
            ("example.com", "proxy:3128", "", Some("proxy:3128")),
            (
                "example.com",
                "http://proxy:3128",
                "other.com",
                Some("proxy:3128"),
            ),
            (
                "notexample.com",
                "http://proxy",
                "example.com",
                Some("proxy"),
            ),
            ("api.example.com", "http://proxy", "a, .example.com", None),
            ("api.example.com", "http://proxy", "*.example.com", None),
            ("example.com", "http://proxy", "*", None),
            ("localhost", "http://proxy", "", None),
            ("127.0.0.1", "http://proxy", "", None),
            ("example.com", "http://127.0.0.1:3000", "", None),
            ("example.com", "socks5://proxy", "", None),
            ("example.com", "http://", "", None),
        ] {
            let chosen = choose(host, proxy, direct).map(|proxy| proxy.0.to_string());
            assert_eq!(chosen.as_deref(), expected, "{host} {proxy} {direct}");
        }
    }
}
