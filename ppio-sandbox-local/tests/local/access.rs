//! Which callers the local platform accepts: by host name, page and token.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use ppio_sandbox_local::TemplateSpec;
use ppio_test_support::{RawAnswer, test_program};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::test_platform::TestPlatform;

/// Sends these bytes and reads until the platform closes the connection.
async fn raw(address: SocketAddr, request: &str) -> String {
    let exchange = async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    };
    tokio::time::timeout(Duration::from_secs(30), exchange)
        .await
        .unwrap()
}

/// Returns a sandbox of a template whose agent answers with the request line and headers that it
/// receives.
async fn sandbox(platform: &TestPlatform, secure: bool) -> Value {
    let server = TemplateSpec::new("echoing").binary(test_program("echoing-server"));
    let template = platform.platform.build_template(server).await.unwrap();
    let body = format!(
        r#"{{"templateID": "{}", "timeout": 120, "secure": {secure}}}"#,
        template.id
    );
    let created = platform
        .request("POST", "/sandboxes", &[], body.as_bytes())
        .await;
    assert_eq!(created.status, 201, "{created:?}");
    created.json()
}

async fn kill(platform: &TestPlatform, sandbox: &Value) {
    let path = format!("/sandboxes/{}", sandbox["sandboxID"].as_str().unwrap());
    let killed = platform.request("DELETE", &path, &[], b"").await;
    assert_eq!(killed.status, 204, "{killed:?}");
}

fn refused(answer: &RawAnswer, status: u16, part: &str) {
    let message = answer.json()["message"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    assert_eq!(answer.status, status, "{answer:?}");
    assert!(message.contains(part), "{part}: {answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_platforms_own_host_names_are_answered() {
    let platform = TestPlatform::with(|builder| builder.allow_host("platform.internal")).await;
    let sandbox = sandbox(&platform, false).await;
    let id = sandbox["sandboxID"].as_str().unwrap();
    let port = platform.platform.address().port();
    for host in [
        "localhost",
        "LOCALHOST",
        "localhost.",
        "api.localhost",
        "127.0.0.1",
        "127.8.9.1",
        "[::1]",
        "platform.internal",
    ] {
        for host in [host.to_owned(), format!("{host}:{port}")] {
            let answer = platform
                .request("GET", "/templates", &[("host", &host)], b"")
                .await;
            assert_eq!(answer.status, 200, "{host}: {answer:?}");
        }
    }
    for host in [
        "evil.example",
        "evil.example:80",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "127.1.evil.example",
        "evil-localhost",
        "192.168.0.1",
        "0.0.0.0",
        "[::2]",
    ] {
        for path in ["/templates", "/health", "/sandboxes"] {
            let answer = platform.request("GET", path, &[("host", host)], b"").await;
            refused(&answer, 421, "allow_host");
        }
        // Neither the daemon nor a port of a sandbox can be reached.
        for port in ["49983", "8080"] {
            let headers = [
                ("host", host),
                ("e2b-sandbox-id", id),
                ("e2b-sandbox-port", port),
            ];
            let answer = platform.request("GET", "/health", &headers, b"").await;
            refused(&answer, 421, host.split(':').next().unwrap());
        }
        // The request line names a different host from the header.
        let request = format!(
            "GET http://{host}/health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
        );
        let answer = raw(platform.platform.address(), &request).await;
        assert!(answer.starts_with("HTTP/1.1 421 "), "{host}: {answer}");
    }
    kill(&platform, &sandbox).await;
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_can_be_read_in_two_ways_are_refused() {
    let platform = TestPlatform::with(|builder| builder).await;
    let sandbox = sandbox(&platform, false).await;
    let host = format!("8080-{}.localhost", sandbox["sandboxID"].as_str().unwrap());
    let close = "connection: close\r\n";
    for (request, status) in [
        (format!("GET /health HTTP/1.1\r\n{close}\r\n"), 400),
        (format!("GET /health HTTP/1.1\r\nhost:\r\n{close}\r\n"), 400),
        (
            format!("GET /health HTTP/1.1\r\nhost: localhost\r\nhost: localhost\r\n{close}\r\n"),
            400,
        ),
        (
            format!("GET /health HTTP/1.1\r\nhost: localhost\r\nhost: {host}\r\n{close}\r\n"),
            400,
        ),
        (
            format!("GET /health HTTP/1.1\r\nhost: localhost, {host}\r\n{close}\r\n"),
            400,
        ),
        (
            format!("GET /health HTTP/1.1\r\nhost: user@localhost\r\n{close}\r\n"),
            400,
        ),
        (
            format!("GET /health HTTP/1.1\r\nhost: localhost/x\r\n{close}\r\n"),
            400,
        ),
        (
            format!(
                "POST / HTTP/1.1\r\nhost: {host}\r\ntransfer-encoding: gzip, \
                 chunked\r\n{close}\r\n0\r\n\r\n"
            ),
            400,
        ),
        (
            format!(
                "POST / HTTP/1.1\r\nhost: {host}\r\ntransfer-encoding: gzip\r\ntransfer-encoding: \
                 chunked\r\n{close}\r\n0\r\n\r\n"
            ),
            400,
        ),
        (
            format!(
                "POST / HTTP/1.1\r\nhost: {host}\r\ntransfer-encoding: chunked, \
                 gzip\r\n{close}\r\n0\r\n\r\n"
            ),
            400,
        ),
        (
            format!(
                "POST / HTTP/1.1\r\nhost: {host}\r\ncontent-length: 1\r\ncontent-length: \
                 2\r\n{close}\r\nxx"
            ),
            400,
        ),
        (
            format!(
                "POST / HTTP/1.1\r\nhost: {host}\r\nTransfer-Encoding: \
                 Chunked\r\n{close}\r\n0\r\n\r\n"
            ),
            200,
        ),
        (
            format!("GET /health HTTP/1.0\r\nhost: localhost\r\n{close}\r\n"),
            200,
        ),
    ] {
        let answer = raw(platform.platform.address(), &request).await;
        let line = answer.lines().next().unwrap_or_default();
        assert_eq!(
            line.split(' ').nth(1),
            Some(&*status.to_string()),
            "{request}{answer}"
        );
    }
    // A request with two lengths is refused, also after another request in the same packet and for
    // a tunnel.
    let get = format!("GET / HTTP/1.1\r\nhost: {host}\r\n\r\n");
    for lengths in [
        "content-length: 4\r\ntransfer-encoding: chunked",
        "transfer-encoding: chunked\r\ncontent-length: 4",
    ] {
        for (before, line) in [
            ("", "POST /"),
            (&*get, "POST /"),
            ("", "CONNECT localhost:1"),
        ] {
            let request = format!(
                "{before}{line} HTTP/1.1\r\nhost: {host}\r\n{lengths}\r\n\r\n0\r\n\r\n\
                 GET /smuggled HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n"
            );
            let answer = raw(platform.platform.address(), &request).await;
            assert!(!answer.contains("smuggled"), "{lengths}: {answer}");
            let (earlier, refusal) = answer.rsplit_once("HTTP/1.1 ").unwrap();
            assert!(refusal.starts_with("400 "), "{answer}");
            assert!(refusal.contains("connection: close"), "{answer}");
            let responses = earlier.matches("HTTP/1.1 200 ").count();
            assert_eq!(responses, before.matches("GET").count(), "{answer}");
        }
    }
    kill(&platform, &sandbox).await;
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_pages_are_refused() {
    let platform = TestPlatform::with(|builder| builder).await;
    let sandbox = sandbox(&platform, false).await;
    let id = sandbox["sandboxID"].as_str().unwrap();
    let token = sandbox["envdAccessToken"].as_str().unwrap();
    let routed = ("e2b-sandbox-id", id);
    let own = format!(
        "http://8080-{id}.localhost:{}",
        platform.platform.address().port()
    );
    for (origin, allowed) in [
        ("http://localhost:5173", true),
        ("https://app.localhost", true),
        ("http://127.0.0.1:8000", true),
        ("http://[::1]:8000", true),
        ("https://evil.example", false),
        ("http://localhost.evil.example", false),
        ("null", false),
        ("file://", false),
        ("", false),
        // This page is served by code in a sandbox.
        (&own, false),
    ] {
        let origin = ("origin", origin);
        for (method, path) in [
            ("GET", "/templates"),
            ("POST", "/sandboxes"),
            ("GET", "/health"),
        ] {
            let answer = platform.request(method, path, &[origin], b"{").await;
            assert_eq!(
                answer.status != 403,
                allowed,
                "{origin:?} {path}: {answer:?}"
            );
        }
        let headers = [origin, routed, ("x-access-token", token)];
        let answer = platform
            .request_without_key("POST", "/files?path=x", &headers, b"x")
            .await;
        let expected = if allowed { 200 } else { 403 };
        assert_eq!(answer.status, expected, "{origin:?}: {answer:?}");
        // Requests to the agent's own port are left to the agent.
        let headers = [origin, routed, ("e2b-sandbox-port", "8080")];
        let answer = platform.request("POST", "/", &headers, b"x").await;
        assert_eq!(answer.status, 200, "{origin:?}: {answer:?}");
    }
    kill(&platform, &sandbox).await;
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_platforms_key_does_not_reach_an_agent() {
    let platform = TestPlatform::with(|builder| builder).await;
    let sandbox = sandbox(&platform, false).await;
    let id = sandbox["sandboxID"].as_str().unwrap();
    let host = format!("8080-{id}.localhost");
    let key = platform.platform.api_key();
    let basic = STANDARD.encode(format!("{key}:"));
    let bearer = format!("Bearer {key}");
    let cookie = format!("a=b; key={key}");
    let headers = [
        ("host", &*host),
        ("authorization", &bearer),
        ("authorization", &format!("bEARER  {key}")),
        ("authorization", &format!("Basic {basic}")),
        ("x-api-key", key),
        ("cookie", &cookie),
        ("x-own", "stays"),
    ];
    let answer = platform.request("GET", "/", &headers, b"").await;
    let seen = String::from_utf8_lossy(&answer.body).into_owned();
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(seen.contains("x-own: stays"), "{seen}");
    assert!(!seen.contains(key) && !seen.contains(&basic), "{seen}");
    assert!(
        !seen.contains("authorization") && !seen.contains("x-api-key"),
        "{seen}"
    );

    // The caller's own credentials are passed on.
    let headers = [
        ("host", &*host),
        ("authorization", "Bearer own"),
        ("x-api-key", "other"),
        ("cookie", "a=b"),
    ];
    let answer = platform
        .request_without_key("GET", "/", &headers, b"")
        .await;
    let seen = String::from_utf8_lossy(&answer.body).into_owned();
    for line in [
        "authorization: Bearer own",
        "x-api-key: other",
        "cookie: a=b",
    ] {
        assert!(seen.contains(line), "{line}: {seen}");
    }
    kill(&platform, &sandbox).await;
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_daemon_requires_its_token() {
    let platform = TestPlatform::with(|builder| builder).await;
    let sandboxes = [
        sandbox(&platform, false).await,
        sandbox(&platform, false).await,
    ];
    let id = sandboxes[0]["sandboxID"].as_str().unwrap();
    let foreign = sandboxes[1]["envdAccessToken"].as_str().unwrap();
    let routed = ("e2b-sandbox-id", id);
    for headers in [
        &[routed][..],
        &[routed, ("x-access-token", "")],
        &[routed, ("x-access-token", "other")],
        &[routed, ("x-access-token", foreign)],
    ] {
        for (method, path) in [
            ("GET", "/files?path=x"),
            ("POST", "/files?path=x"),
            ("POST", "/process.Process/List"),
            ("POST", "/filesystem.Filesystem/ListDir"),
        ] {
            let mut all = headers.to_vec();
            all.push(("content-type", "application/json"));
            let answer = platform
                .request_without_key(method, path, &all, b"{}")
                .await;
            refused(&answer, 401, "access token");
        }
    }
    // The answer to a `connect` call has the access token as well.
    let connect = format!("/sandboxes/{id}/connect");
    let connected = platform
        .request("POST", &connect, &[], br#"{"timeout": 60}"#)
        .await
        .json();
    let token = connected["envdAccessToken"].as_str().unwrap();
    let headers = [routed, ("x-access-token", token)];
    let answer = platform
        .request_without_key("POST", "/files?path=x", &headers, b"x")
        .await;
    assert_eq!(answer.status, 200, "{answer:?}");
    for sandbox in &sandboxes {
        kill(&platform, sandbox).await;
    }
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_link_is_valid_for_one_operation() {
    let platform = TestPlatform::with(|builder| builder).await;
    let sandbox = sandbox(&platform, true).await;
    let token = sandbox["envdAccessToken"].as_str().unwrap();
    let routed = [("e2b-sandbox-id", sandbox["sandboxID"].as_str().unwrap())];
    let sign = |text: String| {
        let digest = Sha256::digest(format!("{text}:{token}").as_bytes());
        format!("v1_{}", STANDARD_NO_PAD.encode(digest))
            .replace('+', "%2b")
            .replace('/', "%2f")
    };
    let call = async |method: &str, query: String| {
        let path = format!("/files?{query}");
        platform
            .request_without_key(method, &path, &routed, b"x")
            .await
    };

    let write = sign("w:write:user".into());
    let link = format!("path=w&username=user&signature={write}");
    assert_eq!(call("POST", link.clone()).await.status, 200);
    assert_eq!(call("GET", link).await.status, 401);
    let read = sign("w:read:user".into());
    let link = format!("path=w&username=user&signature={read}");
    assert_eq!(call("GET", link).await.status, 200);

    // The signed texts of a read link for one file and of a write link for another are the same.
    let ambiguous = sign("w:write:u:read:".into());
    for (method, query) in [
        ("GET", format!("path=w:write:u&signature={ambiguous}")),
        (
            "POST",
            format!("path=w&username=u:read:&signature={ambiguous}"),
        ),
    ] {
        let answer = call(method, query).await;
        refused(&answer, 400, "`:`");
    }
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    for (expiration, status) in [(now + 60, 200), (now - 60, 401)] {
        let digest = Sha256::digest(format!("w:read::{token}:{expiration}").as_bytes());
        let signature = format!("v1_{}", STANDARD_NO_PAD.encode(digest))
            .replace('+', "%2b")
            .replace('/', "%2f");
        let query = format!("path=w&signature={signature}&signature_expiration={expiration}");
        assert_eq!(call("GET", query).await.status, status);
    }
    kill(&platform, &sandbox).await;
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_ids_are_refused() {
    let platform = TestPlatform::with(|builder| builder).await;
    for id in [
        ".",
        "..",
        "x.evil:19002/?",
        "a/b",
        "",
        "%2e%2e",
        "a b",
        "a\u{e9}",
    ] {
        for family in ["ppio-sandbox-id", "E2b-Sandbox-Id"] {
            for port in ["8080", "49983"] {
                let headers = [
                    (family, id),
                    ("e2b-sandbox-port", port),
                    ("ppio-sandbox-port", port),
                ];
                let answer = platform.request("GET", "/health", &headers, b"").await;
                refused(&answer, 400, "sandbox id");
            }
        }
    }
    platform.stop().await;
}
