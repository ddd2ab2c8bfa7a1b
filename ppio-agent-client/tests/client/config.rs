//! Every setting of a client has the effect that its documentation describes.

use std::time::{Duration, Instant};

use ppio_agent_client::{AgentRuntimeClient, ClientConfig, Error, NetworkErrorKind};
use ppio_test_support::scripted_platform::{Reply, ScriptedPlatform};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::clients::{API_KEY, client_with};

const INVOKE: &str = "agent POST /invocations";
const LIST: &str = "GET /v2/sandboxes";

#[tokio::test]
async fn sandbox_url_takes_all_traffic_into_sandboxes() {
    let platform = ScriptedPlatform::start().await;
    let config = ClientConfig {
        sandbox_url: Some(platform.url()),
        ..ClientConfig::default()
    };
    let client = client_with(&platform, config);
    let session = client.create_session("tmpl_1").await.unwrap();
    // The client sends requests to `sandbox_url`; callers without routing headers use another
    // address.
    let domain = platform.domain();
    assert_eq!(session.host_url(), format!("http://8080-sb1.{domain}"));
    assert_eq!(session.port_url(3000), format!("http://3000-sb1.{domain}"));
    session.invoke("hi").await.unwrap();
    assert!(session.envd().is_running().await.unwrap());
    let host = platform.url().replace("http://", "");
    for (route, port) in [(INVOKE, "8080"), ("envd GET /health", "49983")] {
        let request = &platform.requests(route)[0];
        assert_eq!(request.header("host"), host);
        for family in ["ppio", "e2b"] {
            assert_eq!(request.header(&format!("{family}-sandbox-id")), "sb1");
            assert_eq!(request.header(&format!("{family}-sandbox-port")), port);
        }
    }
    // All requests have one origin, so the connection of the first call is reused.
    assert!(platform.connections() <= 2, "{}", platform.connections());
}

/// The test sends the request that `curl` or a browser sends: to the host of the URL, which is a
/// name below `localhost`.
#[tokio::test]
async fn host_url_leads_to_the_agent_without_headers() {
    let platform = ScriptedPlatform::start().await;
    for sandbox_url in [None, Some(platform.url())] {
        let config = ClientConfig {
            sandbox_url,
            ..ClientConfig::default()
        };
        let session = client_with(&platform, config).create_session("tmpl_1");
        let session = session.await.unwrap();
        let pings = platform.count("agent GET /ping");
        let url: http::Uri = session.host_url().parse().unwrap();
        let request = format!(
            "GET /ping HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n",
            url.authority().unwrap()
        );
        let address = platform.url().replace("http://", "");
        let mut connection = TcpStream::connect(address).await.unwrap();
        connection.write_all(request.as_bytes()).await.unwrap();
        let mut start = [0; 12];
        connection.read_exact(&mut start).await.unwrap();
        assert_eq!(&start, b"HTTP/1.1 200");
        assert_eq!(platform.count("agent GET /ping"), pings + 1);
    }
}

#[tokio::test]
async fn domain_gives_sandboxes_their_hosts() {
    let platform = ScriptedPlatform::start().await;
    let client = client_with(&platform, ClientConfig::default());
    let session = client.create_session("tmpl_1").await.unwrap();
    let domain = platform.domain();
    assert_eq!(session.host_url(), format!("http://8080-sb1.{domain}"));
    assert_eq!(session.port_url(3000), format!("http://3000-sb1.{domain}"));
}

#[tokio::test]
async fn session_timeout_is_the_default_timeout_of_sessions() {
    let platform = ScriptedPlatform::start().await;
    let config = ClientConfig {
        session_timeout: Duration::from_secs(77),
        ..ClientConfig::default()
    };
    let client = client_with(&platform, config);
    let session = client.create_session("tmpl_1").await.unwrap();
    assert_eq!(platform.sandbox("sb1").unwrap().timeout, 77);
    assert_eq!(session.timeout(), Duration::from_secs(77));
}

#[tokio::test]
async fn max_retries_counts_the_tries_after_the_first() {
    let platform = ScriptedPlatform::start().await;
    platform.always(LIST, Reply::error(500, "no"));
    let mut sent = 0;
    for max_retries in [0, 1, 5] {
        let config = ClientConfig {
            max_retries,
            ..ClientConfig::default()
        };
        client_with(&platform, config)
            .list_sessions()
            .await
            .unwrap_err();
        sent += max_retries as usize + 1;
        assert_eq!(platform.count(LIST), sent, "{max_retries} retries");
    }
}

#[tokio::test]
async fn max_retry_delay_limits_the_pause_before_a_retry() {
    // Pauses are random between zero and the limit, so only the limit can be tested here; the unit
    // tests of `retry.rs`, which pause the clock, test the doubling.
    let platform = ScriptedPlatform::start().await;
    platform.always(LIST, Reply::error(500, "no"));
    let config = ClientConfig {
        base_url: Some(platform.url()),
        retry_delay: Duration::from_secs(3600),
        max_retry_delay: Duration::from_millis(1),
        max_retries: 20,
        ..ClientConfig::default()
    };
    let client = AgentRuntimeClient::builder().api_key("k").config(config);
    let started = Instant::now();
    client.build().unwrap().list_sessions().await.unwrap_err();
    assert_eq!(platform.count(LIST), 21);
    assert!(started.elapsed() < Duration::from_secs(60));
}

#[tokio::test]
async fn connect_timeout_limits_a_handshake_without_an_answer() {
    let mute = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let config = ClientConfig {
        base_url: Some(format!("https://{}", mute.local_addr().unwrap())),
        connect_timeout: Duration::from_millis(100),
        max_retries: 0,
        ..ClientConfig::default()
    };
    let client = AgentRuntimeClient::builder().api_key("k").config(config);
    match client.build().unwrap().list_sessions().await.unwrap_err() {
        Error::Network { source, .. } => {
            assert_eq!(source.kind(), NetworkErrorKind::Connect);
            let cause = std::error::Error::source(&source).unwrap().to_string();
            assert!(cause.contains("100ms"), "{cause}");
        }
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn max_connections_limits_the_requests_under_way() {
    let platform = ScriptedPlatform::start().await;
    let config = ClientConfig {
        max_connections: 2,
        ..ClientConfig::default()
    };
    let client = client_with(&platform, config);
    let session = client.create_session("tmpl_1").await.unwrap();
    let ok = json!({"result": 1, "status": "success", "duration": 0});
    let slow = Reply::json(200, &ok).after(Duration::from_millis(50));
    platform.always(INVOKE, slow);
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let session = session.clone();
        asking.spawn(async move { session.invoke("hi").await.map(drop) });
    }
    let idle = platform.open_connections();
    let mut most = 0;
    while let Ok(asked) = tokio::time::timeout(Duration::from_millis(2), asking.join_next()).await
        && let Some(asked) = asked
    {
        asked.unwrap().unwrap();
        most = most.max(platform.open_connections());
    }
    while let Some(asked) = asking.join_next().await {
        asked.unwrap().unwrap();
        most = most.max(platform.open_connections());
    }
    assert_eq!(platform.count(INVOKE), 8);
    assert!(most <= idle + 2, "{most} connections");
    // A request waits for a free connection only until its deadline.
    platform.always(INVOKE, Reply::nothing().hang());
    let (a, b) = (session.clone(), session.clone());
    let holding = [
        tokio::spawn(async move { a.invoke("hi").await.map(drop) }),
        tokio::spawn(async move { b.invoke("hi").await.map(drop) }),
    ];
    platform
        .eventually("both connections are in use", |platform| {
            platform.count(INVOKE) == 10
        })
        .await;
    let waiting = session.invoke("hi").timeout(Duration::from_millis(50));
    let error = waiting.await.unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }), "{error}");
    assert_eq!(platform.count(INVOKE), 10);
    holding.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn max_keepalive_connections_limits_idle_connections() {
    let platform = ScriptedPlatform::start().await;
    for (limit, opened) in [(0, 5), (1, 1)] {
        let config = ClientConfig {
            max_keepalive_connections: limit,
            ..ClientConfig::default()
        };
        let client = client_with(&platform, config);
        let before = platform.connections();
        for _ in 0..5 {
            client.list_sessions().await.unwrap();
        }
        assert_eq!(platform.connections() - before, opened, "limit {limit}");
    }
}

#[tokio::test]
async fn keepalive_expiry_closes_idle_connections() {
    let platform = ScriptedPlatform::start().await;
    for expiry in [Duration::from_millis(50), Duration::MAX] {
        let config = ClientConfig {
            keepalive_expiry: expiry,
            ..ClientConfig::default()
        };
        let client = client_with(&platform, config);
        client.list_sessions().await.unwrap();
        let before = platform.connections();
        if expiry == Duration::MAX {
            client.list_sessions().await.unwrap();
            assert_eq!(platform.connections(), before, "the connection was kept");
        } else {
            platform
                .eventually("the close", |platform| platform.open_connections() == 0)
                .await;
        }
    }
}

#[tokio::test]
async fn invalid_settings_are_rejected_by_name() {
    let refused = |config: ClientConfig| {
        let built = AgentRuntimeClient::builder().api_key("k").config(config);
        match built.build().unwrap_err() {
            Error::Validation { field, .. } => field,
            other => panic!("{other}"),
        }
    };
    let config = ClientConfig::default;
    let zero = Duration::ZERO;
    assert_eq!(
        refused(ClientConfig {
            timeout: zero,
            ..config()
        }),
        "timeout"
    );
    assert_eq!(
        refused(ClientConfig {
            connect_timeout: zero,
            ..config()
        }),
        "connect_timeout"
    );
    assert_eq!(
        refused(ClientConfig {
            stream_idle_timeout: zero,
            ..config()
        }),
        "stream_idle_timeout"
    );
    assert_eq!(
        refused(ClientConfig {
            session_timeout: zero,
            ..config()
        }),
        "session_timeout"
    );
    assert_eq!(
        refused(ClientConfig {
            max_connections: 0,
            ..config()
        }),
        "max_connections"
    );
    let nonsense = || Some("nonsense".to_owned());
    assert_eq!(
        refused(ClientConfig {
            base_url: nonsense(),
            ..config()
        }),
        "base_url"
    );
    assert_eq!(
        refused(ClientConfig {
            sandbox_url: nonsense(),
            ..config()
        }),
        "sandbox_url"
    );
    assert_eq!(
        refused(ClientConfig {
            domain: Some("a/b".into()),
            ..config()
        }),
        "domain"
    );
}

#[test]
fn a_key_given_to_the_builder_is_used() {
    let client = AgentRuntimeClient::builder()
        .api_key(API_KEY)
        .build()
        .unwrap();
    assert_eq!(client.auth().api_key().expose(), API_KEY);
    assert!(client.auth().validate_credentials());
}
