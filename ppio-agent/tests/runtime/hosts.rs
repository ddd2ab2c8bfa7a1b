//! Which `Host` values an agent accepts, and which malformed requests it rejects (RFC 9112).

use crate::support::{Answer, TestServer, config, echo};
use ppio::RuntimeConfig;

async fn server(config: RuntimeConfig) -> TestServer {
    TestServer::start(echo(config.debug(true))).await
}

/// Requests to every kind of route.
const REQUESTS: [&str; 8] = [
    "POST /invocations",
    "GET /invocations",
    "GET /ping",
    "HEAD /ping",
    "GET /",
    "GET /metrics",
    "GET /nope",
    "OPTIONS /invocations",
];

async fn request(server: &TestServer, line: &str, host: &str) -> Answer {
    let mut connection = server.connect().await;
    let request = format!(
        "{line} HTTP/1.1\r\nhost: {host}\r\naccept: text/html\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: 1\r\n\r\n7"
    );
    connection.write(request).await;
    if line.starts_with("HEAD") {
        let head = connection.head().await;
        return Answer {
            status: head.status,
            head,
            body: Vec::new(),
        };
    }
    connection.answer().await
}

/// DNS rebinding: a page whose host name later resolves to 127.0.0.1 could read the agent's
/// answers.
#[tokio::test]
async fn on_loopback_other_hosts_are_refused_on_every_route() {
    let server = server(config()).await;
    for line in REQUESTS {
        for host in [
            "rebound.example",
            "rebound.example:8080",
            "localhost.rebound.example",
            "127.0.0.1.rebound.example",
            "10.0.0.1:8080",
            "0.0.0.0:8080",
            "",
        ] {
            let answer = request(&server, line, host).await;
            assert_eq!(answer.status, 421, "{line} for {host:?}");
            if !line.starts_with("HEAD") {
                let error = answer.error(421, "HostNotAllowed");
                assert!(error.contains(&format!("host {host:?}")), "{error}");
                assert!(error.contains("PPIO_AGENT_ALLOWED_HOSTS"), "{error}");
            }
        }
        for host in [
            "localhost",
            "LOCALHOST:8080",
            "localhost.:8080",
            "127.0.0.1:1",
            "127.1.2.3",
            "[::1]:8080",
            "8080-iabc.localhost:3000",
        ] {
            let answer = request(&server, line, host).await;
            assert_ne!(answer.status, 421, "{line} for {host:?}");
        }
    }
    // A complete URI in the request line overrides the `Host` header.
    let uri = "GET http://rebound.example/ping";
    assert_eq!(request(&server, uri, "localhost").await.status, 421);
    let uri = "GET http://localhost/ping";
    assert_eq!(request(&server, uri, "rebound.example").await.status, 200);
}

#[tokio::test]
async fn allowed_hosts_are_served() {
    let hosts = ["Agent.Example", "10.0.0.1"];
    let server = server(config().allowed_hosts(hosts)).await;
    for (host, status) in [
        ("agent.example", 200),
        ("AGENT.example:443", 200),
        ("10.0.0.1:8080", 200),
        ("localhost", 200),
        ("x.agent.example", 421),
        ("10.0.0.2", 421),
    ] {
        let answer = request(&server, "GET /ping", host).await;
        assert_eq!(answer.status, status, "{host}");
    }
    let server = self::server(config().allowed_hosts(["*"])).await;
    assert_eq!(
        request(&server, "GET /ping", "any.example").await.status,
        200
    );
}

#[tokio::test]
async fn every_loopback_address_checks_the_host() {
    for host in ["localhost", "127.0.0.2", "::1", "[::1]"] {
        let server = server(RuntimeConfig::new().host(host).port(0)).await;
        let answer = request(&server, "GET /ping", "rebound.example").await;
        assert_eq!(answer.status, 421, "{host}");
        let own = server.address.to_string();
        assert_eq!(request(&server, "GET /ping", &own).await.status, 200);
    }
}

#[tokio::test]
async fn any_host_is_served_when_bound_to_all_addresses() {
    for host in ["0.0.0.0", "::"] {
        let mut server = server(RuntimeConfig::new().host(host).port(0)).await;
        server.address.set_ip(match host {
            "::" => std::net::Ipv6Addr::LOCALHOST.into(),
            _ => std::net::Ipv4Addr::LOCALHOST.into(),
        });
        for host in ["agent.example", "10.0.0.1:8080", ""] {
            let answer = request(&server, "POST /invocations", host).await;
            assert_eq!(answer.result(), 7, "{host}");
        }
    }
}

/// Sends a request that must be rejected, and a pipelined request that must not be answered.
/// Returns the error text, which is empty if hyper itself rejected the request.
async fn refused(server: &TestServer, request: &str) -> String {
    let mut connection = server.connect().await;
    let smuggled = "GET /ping HTTP/1.1\r\nhost: localhost\r\n\r\n";
    connection.write(format!("{request}{smuggled}")).await;
    let answer = connection.answer().await;
    assert_eq!(answer.status, 400, "{request}: {}", answer.text());
    connection.assert_closed().await;
    if answer.body.is_empty() {
        // hyper itself rejected the request.
        return String::new();
    }
    assert_eq!(answer.header("connection"), Some("close"), "{request}");
    answer.error(400, "BadRequest")
}

#[tokio::test]
async fn a_request_without_exactly_one_host_is_refused() {
    // The server is bound to all addresses, so that no host is rejected for its name.
    let mut server = server(RuntimeConfig::new().host("0.0.0.0").port(0)).await;
    server.address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
    for line in REQUESTS
        .into_iter()
        .filter(|line| !line.starts_with("HEAD"))
    {
        for (headers, text) in [
            ("", "needs a `Host` header"),
            ("host: localhost\r\nhost: localhost\r\n", "more than one"),
            (
                "host: localhost\r\nx: y\r\nHOST: evil.example\r\n",
                "more than one",
            ),
            ("host: a b\r\n", "not a host name"),
            ("host: a/b\r\n", "not a host name"),
            ("host: a@b\r\n", "not a host name"),
            ("host: \u{e9}\r\n", "not a host name"),
        ] {
            let error = refused(&server, &format!("{line} HTTP/1.1\r\n{headers}\r\n")).await;
            assert!(error.contains(text), "{line} {headers:?}: {error}");
        }
    }
    let twice = "GET /ping HTTP/1.0\r\nhost: a\r\nhost: b\r\n\r\n";
    assert!(refused(&server, twice).await.contains("more than one"));
    // HTTP/1.0 does not require `Host`.
    let old = server.send("GET /ping HTTP/1.0\r\n\r\n").await;
    assert_eq!(old.status, 200);
    let loopback = self::server(config()).await;
    let old = loopback.send("GET /ping HTTP/1.0\r\n\r\n").await;
    assert_eq!(old.status, 200);
}

#[tokio::test]
async fn an_ambiguous_body_length_is_refused() {
    let server = server(config()).await;
    for (headers, text) in [
        (
            "transfer-encoding: gzip, chunked\r\n",
            "transfer encoding \"gzip, chunked\"",
        ),
        ("transfer-encoding: identity, chunked\r\n", "identity"),
        (
            "transfer-encoding: gzip\r\ntransfer-encoding: chunked\r\n",
            "gzip, chunked",
        ),
        (
            "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n",
            "chunked, chunked",
        ),
        (
            "content-length: 5\r\ntransfer-encoding: gzip, chunked\r\n",
            "gzip",
        ),
        // hyper itself refuses these requests.
        ("transfer-encoding: gzip\r\n", ""),
        ("transfer-encoding: chunked, gzip\r\n", ""),
        ("transfer-encoding: xchunked\r\n", ""),
        ("transfer-encoding:\r\n", ""),
        ("content-length: 5, 5\r\n", ""),
    ] {
        for line in ["POST /invocations", "GET /ping"] {
            let request = format!("{line} HTTP/1.1\r\nhost: localhost\r\n{headers}\r\n0\r\n\r\n");
            let error = refused(&server, &request).await;
            assert!(error.contains(text), "{headers:?}: {error}");
        }
    }
    let old = "POST /invocations HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n";
    assert_eq!(server.send(old).await.status, 400);
    server.assert_alive().await;
}
