//! Sessions that are created, looked up, paused, resumed, refreshed and closed.

use std::future::IntoFuture as _;
use std::time::Duration;

use ppio_agent_client::{Error, SandboxConfig, SessionStatus};
use ppio_test_support::scripted_platform::{Reply, ScriptedPlatform};
use serde_json::json;

use crate::clients::client_of;

#[tokio::test]
async fn a_session_from_creation_to_close() {
    let platform = ScriptedPlatform::start().await;
    let client = client_of(&platform);
    let session = client
        .create_session("tmpl_1")
        .timeout(Duration::from_secs(1800))
        .env("MODEL", "large")
        .metadata("user", "42")
        .await
        .unwrap();
    let sandbox = platform.sandbox(session.sandbox_id()).unwrap();
    assert_eq!(sandbox.timeout, 1800);
    assert_eq!(sandbox.env_vars["MODEL"], "large");
    assert_eq!(sandbox.metadata["user"], "42");
    assert_eq!(session.get_status().await.unwrap(), SessionStatus::Active);

    let answer = session.invoke("hi").await.unwrap();
    assert_eq!(answer.result, Some(json!({"prompt": "hi"})));

    session.close().await.unwrap();
    assert!(platform.live().is_empty());
    assert_eq!(session.get_status().await.unwrap(), SessionStatus::Closed);
    assert!(matches!(
        session.invoke("hi").await,
        Err(Error::SessionNotFound { .. })
    ));
    session.close().await.unwrap();
}

#[tokio::test]
async fn a_session_keeps_the_name_that_its_template_was_requested_by() {
    let platform = ScriptedPlatform::start().await;
    let client = client_of(&platform);
    let resolved = json!({
        "sandboxID": "sb7", "templateID": "tmpl_1", "domain": platform.domain(),
    });
    platform.add_sandbox("sb7", "tmpl_1");
    platform.script("POST /sandboxes", Reply::json(201, &resolved));
    let session = client.create_session("tmpl_1-alias").await.unwrap();
    assert_eq!(session.requested_template(), "tmpl_1-alias");
    assert_eq!(session.template_id(), "tmpl_1");
    let found = client_of(&platform).get_session("sb7").await.unwrap();
    assert_eq!(found.unwrap().requested_template(), "tmpl_1");
}

#[tokio::test]
async fn the_state_is_read_from_the_platform() {
    let platform = ScriptedPlatform::start().await;
    let session = client_of(&platform).create_session("tmpl_1").await.unwrap();
    let id = session.sandbox_id().to_owned();

    session.pause().await.unwrap();
    assert!(platform.sandbox(&id).unwrap().paused);
    assert!(session.is_paused().await.unwrap());
    session.pause().await.expect("pausing twice succeeds");
    let error = session.invoke("hi").await.unwrap_err();
    assert!(error.report().to_string().contains("resume()"), "{error}");

    // Another client resumes the sandbox, then it expires; this session reports both changes.
    let other = client_of(&platform);
    other
        .get_session(&id)
        .await
        .unwrap()
        .unwrap()
        .resume()
        .await
        .unwrap();
    assert_eq!(session.get_status().await.unwrap(), SessionStatus::Active);
    platform.expire(&id);
    assert_eq!(session.get_status().await.unwrap(), SessionStatus::Closed);
}

#[tokio::test]
async fn the_status_distinguishes_unhealthy_and_unreachable_agents() {
    let platform = ScriptedPlatform::start().await;
    let session = client_of(&platform).create_session("tmpl_1").await.unwrap();
    platform.script(
        "agent GET /ping",
        Reply::json(500, &json!({"status": "HealthyBusy"})),
    );
    assert_eq!(session.get_status().await.unwrap(), SessionStatus::Error);
    platform.script("agent GET /ping", Reply::error(502, "connection refused"));
    assert_eq!(session.get_status().await.unwrap(), SessionStatus::Inactive);
}

#[tokio::test]
async fn resume_and_refresh_use_the_timeout_of_the_session() {
    let platform = ScriptedPlatform::start().await;
    let client = client_of(&platform);
    let session = client
        .create_session("tmpl_1")
        .timeout(Duration::from_secs(1234))
        .await
        .unwrap();
    let id = session.sandbox_id();
    session.refresh().await.unwrap();
    let sandbox = platform.sandbox(id).unwrap();
    assert_eq!((sandbox.timeout_updates, sandbox.timeout), (1, 1234));
    session.pause().await.unwrap();
    session.resume().await.unwrap();
    assert_eq!(
        platform.requests("POST /sandboxes/{id}/resume")[0].json()["timeout"],
        1234
    );

    // A session that another process finds has the timeout that was set at the creation.
    let found = client_of(&platform).get_session(id).await.unwrap().unwrap();
    assert_eq!(found.timeout(), Duration::from_secs(1234));

    session.set_timeout(Duration::from_secs(60)).await.unwrap();
    assert_eq!(platform.sandbox(id).unwrap().timeout, 60);
    assert_eq!(session.timeout(), Duration::from_secs(60));
}

#[tokio::test]
async fn sessions_are_listed_found_and_closed_on_the_platform() {
    let platform = ScriptedPlatform::start().await;
    let client = client_of(&platform);
    let mut sessions = Vec::new();
    for _ in 0..5 {
        sessions.push(client.create_session("tmpl_1").await.unwrap());
    }
    let other = client_of(&platform);
    let listed = other.list_sessions().await.unwrap();
    assert_eq!(listed.len(), 5, "all pages were read");
    let answer = listed[4].invoke("hi").await.unwrap();
    assert!(answer.is_success());
    drop(listed);
    drop(other);
    assert!(client.get_session("missing").await.unwrap().is_none());
    let again = client
        .get_session(sessions[0].sandbox_id())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(again.sandbox_id(), sessions[0].sandbox_id());
    assert_eq!(platform.live().len(), 5, "no other session was closed");

    client
        .close_session(sessions[0].sandbox_id())
        .await
        .unwrap();
    assert_eq!(
        sessions[0].get_status().await.unwrap(),
        SessionStatus::Closed
    );
    let gone = client.close_session(sessions[0].sandbox_id()).await;
    assert!(matches!(gone, Err(Error::SessionNotFound { .. })));
    client.close_all_sessions().await.unwrap();
    assert!(platform.live().is_empty());
}

#[tokio::test]
async fn a_dropped_session_is_closed_and_a_detached_one_is_not() {
    let platform = ScriptedPlatform::start().await;
    let client = client_of(&platform);
    let session = client.create_session("tmpl_1").await.unwrap();
    let clone = session.clone();
    drop(session);
    assert_eq!(clone.get_status().await.unwrap(), SessionStatus::Active);
    drop(clone);
    platform.eventually_empty().await;

    let id = client.create_session("tmpl_1").await.unwrap().detach();
    drop(client.create_session("tmpl_1").await.unwrap());
    client.close().await.unwrap();
    let live: Vec<_> = platform
        .live()
        .into_iter()
        .map(|sandbox| sandbox.id)
        .collect();
    assert_eq!(live, [id], "close() waited for the background");
}

#[tokio::test]
async fn a_session_dropped_on_a_plain_thread_is_closed_too() {
    let platform = ScriptedPlatform::start().await;
    let session = client_of(&platform).create_session("tmpl_1").await.unwrap();
    std::thread::spawn(move || drop(session)).join().unwrap();
    platform.eventually_empty().await;
}

#[tokio::test]
async fn a_session_is_ready_soon_after_its_agent() {
    let platform = ScriptedPlatform::start().await;
    for _ in 0..3 {
        platform.script("agent GET /ping", Reply::error(502, "not yet"));
    }
    let started = std::time::Instant::now();
    let session = client_of(&platform).create_session("tmpl_1").await.unwrap();
    assert_eq!(platform.count("agent GET /ping"), 4);
    // Polling once in 3 s, as other clients do, would take 9 s here.
    assert!(
        started.elapsed() < Duration::from_secs(3),
        "{:?}",
        started.elapsed()
    );
    drop(session);
}

#[tokio::test]
async fn an_existing_session_has_the_age_timeout_and_port_of_its_sandbox() {
    let platform = ScriptedPlatform::start().await;
    let client = client_of(&platform);
    let config = SandboxConfig {
        ports: vec![3000],
        ..SandboxConfig::default()
    };
    platform.always("GET /sandboxes/{id}", {
        let hour_ago = std::time::SystemTime::now() - Duration::from_secs(3600);
        Reply::json(
            200,
            &json!({
                "sandboxID": "sb1", "templateID": "tmpl_1", "state": "running",
                "startedAt": humantime::format_rfc3339(hour_ago).to_string(),
                "metadata": {"ppio-client-port": "3000", "ppio-client-timeout": "77"},
            }),
        )
    });
    let found = client.get_session("sb1").await.unwrap().unwrap();
    let hour = Duration::from_secs(3600);
    assert!(
        found.age() >= hour && found.age() < hour * 2,
        "{:?}",
        found.age()
    );
    assert!(found.idle() < hour);
    assert!(
        found.host_url().contains("//3000-sb1."),
        "{}",
        found.host_url()
    );
    assert_eq!(found.timeout(), Duration::from_secs(77));

    // The port is stored in the sandbox's metadata when the session is created.
    let create = client.create_session("tmpl_1").config(config);
    let creating = tokio::spawn(create.into_future());
    platform
        .eventually("the creation", |platform| !platform.live().is_empty())
        .await;
    assert_eq!(platform.live()[0].metadata["ppio-client-port"], "3000");
    creating.abort();
    platform.eventually_empty().await;
}

#[test]
fn a_status_serializes_as_its_text() {
    for status in [
        SessionStatus::Active,
        SessionStatus::Paused,
        SessionStatus::Inactive,
        SessionStatus::Closed,
        SessionStatus::Error,
    ] {
        assert_eq!(json!(status), json!(status.as_str()));
        assert_eq!(status.to_string(), status.as_str());
    }
}
