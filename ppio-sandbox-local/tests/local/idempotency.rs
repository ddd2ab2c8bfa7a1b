//! Creations of sandboxes that are sent again with the same idempotency key.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use ppio_test_support::{RawAnswer, eventually};
use serde_json::json;

use crate::test_platform::TestPlatform;

const BODY: &str = r#"{"templateID": "base", "timeout": 300}"#;

async fn create(platform: &TestPlatform, path: &str, key: &str, body: &str) -> RawAnswer {
    let headers = [
        ("content-type", "application/json"),
        ("idempotency-key", key),
    ];
    platform
        .request("POST", path, &headers, body.as_bytes())
        .await
}

fn header<'a>(answer: &'a RawAnswer, name: &str) -> Option<&'a str> {
    let mut lines = answer.head.lines().filter_map(|line| line.split_once(": "));
    lines.find_map(|(found, value)| found.eq_ignore_ascii_case(name).then_some(value))
}

async fn kill_all(platform: &TestPlatform) {
    let all = platform.request("GET", "/sandboxes", &[], b"").await.json();
    for sandbox in all.as_array().unwrap() {
        let path = format!("/sandboxes/{}", sandbox["sandboxID"].as_str().unwrap());
        platform.request("DELETE", &path, &[], b"").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_creation_with_the_same_key_is_the_same_sandbox() {
    let platform = TestPlatform::with(|builder| builder).await;
    let first = create(&platform, "/sandboxes", "k1", BODY).await;
    assert_eq!(first.status, 201, "{first:?}");
    assert_eq!(header(&first, "ppio-idempotency"), Some("supported"));
    for path in ["/sandboxes", "/v2/sandboxes"] {
        let again = create(&platform, path, "k1", BODY).await;
        assert_eq!((again.status, again.json()), (201, first.json()), "{path}");
        assert_eq!(header(&again, "ppio-idempotency"), Some("replayed"));
        let other = r#"{"templateID": "base", "timeout": 301}"#;
        let reused = create(&platform, path, "k1", other).await;
        assert_eq!(reused.status, 422, "{reused:?}");
        assert!(reused.json()["message"].as_str().unwrap().contains("key"));
    }
    assert_eq!(platform.platform.sandbox_count(), 1);

    // Concurrent requests with one key share one creation; requests with other keys, or none,
    // create other sandboxes.
    let answers = join_all((0..8).map(|_| create(&platform, "/sandboxes", "k2", BODY))).await;
    let ids: BTreeSet<_> = answers
        .iter()
        .map(|answer| answer.json()["sandboxID"].to_string())
        .collect();
    assert_eq!(ids.len(), 1, "{answers:?}");
    assert_eq!(platform.platform.sandbox_count(), 2);
    for _ in 0..2 {
        let without = platform
            .request("POST", "/sandboxes", &[], BODY.as_bytes())
            .await;
        assert_eq!(without.status, 201, "{without:?}");
    }
    assert_eq!(platform.platform.sandbox_count(), 4);
    kill_all(&platform).await;

    // The answer is that of the first request, even if its sandbox is gone.
    let gone = create(&platform, "/sandboxes", "k1", BODY).await;
    assert_eq!((gone.status, gone.json()), (201, first.json()));
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_creation_that_failed_may_be_sent_again() {
    let platform = TestPlatform::with(|builder| builder.sandbox_limit(1)).await;
    let blocking = create(&platform, "/sandboxes", "k1", BODY).await;
    assert_eq!(blocking.status, 201);
    for (body, status) in [
        (BODY, 429),
        (r#"{"templateID": "missing"}"#, 404),
        ("{", 400),
    ] {
        let failed = create(&platform, "/sandboxes", "k2", body).await;
        assert_eq!(failed.status, status, "{failed:?}");
        assert_eq!(header(&failed, "ppio-idempotency"), Some("supported"));
    }
    kill_all(&platform).await;
    let made = create(&platform, "/sandboxes", "k2", BODY).await;
    assert_eq!(made.status, 201, "{made:?}");
    kill_all(&platform).await;
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_key_is_refused() {
    let platform = TestPlatform::with(|builder| builder).await;
    let long = "k".repeat(256);
    for key in ["", &long, "schlüssel"] {
        let refused = create(&platform, "/sandboxes", key, BODY).await;
        assert_eq!(refused.status, 400, "{refused:?}");
        assert!(refused.json()["message"].as_str().unwrap().contains("key"));
    }
    let headers = [("idempotency-key", "a"), ("idempotency-key", "b")];
    let two = platform
        .request("POST", "/sandboxes", &headers, BODY.as_bytes())
        .await;
    assert_eq!(two.status, 400, "{two:?}");
    assert_eq!(platform.platform.sandbox_count(), 0);
    platform.stop().await;
}

/// The caller disconnects before its sandbox exists, and sends the request again.
#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_disconnects_finds_its_sandbox() {
    use tokio::io::AsyncWriteExt as _;

    let platform = TestPlatform::with(|builder| builder).await;
    let address = platform.platform.address();
    let key = platform.platform.api_key();
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!(
        "POST /sandboxes HTTP/1.1\r\nhost: {address}\r\nx-api-key: {key}\r\n\
         idempotency-key: k1\r\ncontent-length: {}\r\n\r\n{BODY}",
        BODY.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    // The directory of the sandbox exists before the sandbox does.
    eventually("the creation begins", || !platform.directories().is_empty()).await;
    drop(stream);
    let again = create(&platform, "/sandboxes", "k1", BODY).await;
    assert_eq!(again.status, 201, "{again:?}");
    assert_eq!(header(&again, "ppio-idempotency"), Some("replayed"));
    assert_eq!(platform.platform.sandbox_count(), 1);
    let id = again.json()["sandboxID"].clone();
    let all = platform.request("GET", "/sandboxes", &[], b"").await.json();
    assert_eq!(all[0]["sandboxID"], json!(id));
    kill_all(&platform).await;
    platform.stop().await;
}
