//! A setting from a method of its own takes precedence over the config, in whatever order they are
//! set.

use std::time::Duration;

use futures_util::future::join_all;
use ppio_agent_client::{
    AgentRuntimeClient, ClientBuilder, ClientConfig, CreateSession, Error, InvocationRequest,
    SandboxConfig,
};
use ppio_test_support::scripted_platform::{Reply, ScriptedPlatform};
use serde_json::json;

use crate::clients::{client_of, client_with};

const INVOKE: &str = "agent POST /invocations";
const LIMIT: Duration = Duration::from_millis(60);

#[tokio::test]
async fn the_order_of_a_clients_settings_does_not_matter() {
    let platform = ScriptedPlatform::start().await;
    let config = || ClientConfig {
        base_url: Some("http://127.0.0.1:1".into()),
        max_retries: 0,
        session_timeout: Duration::from_secs(77),
        ..ClientConfig::default()
    };
    let with_own = |builder: ClientBuilder| {
        let builder = builder.base_url(platform.url()).domain(platform.domain());
        builder.timeout(LIMIT)
    };
    let builder = || AgentRuntimeClient::builder().api_key("k");
    for builder in [
        with_own(builder()).config(config()),
        with_own(builder().config(config())),
    ] {
        let client = builder.build().unwrap();
        platform.script("GET /v2/sandboxes", Reply::nothing().hang());
        match client.list_sessions().await.unwrap_err() {
            Error::Timeout { limit, .. } => assert_eq!(limit, LIMIT),
            other => panic!("{}", other.report()),
        }
    }
    assert_eq!(platform.count("GET /v2/sandboxes"), 2);

    // Settings that no method sets are taken from the config, and of two configs the second
    // applies.
    let first = ClientConfig {
        session_timeout: Duration::from_secs(5),
        ..config()
    };
    let builder = builder().base_url(platform.url()).domain(platform.domain());
    let client = builder.config(first).config(config()).build().unwrap();
    let session = client.create_session("tmpl_1").await.unwrap();
    assert_eq!(session.timeout(), Duration::from_secs(77));
}

#[tokio::test]
async fn the_order_of_a_sessions_settings_does_not_matter() {
    let platform = ScriptedPlatform::start().await;
    let client = client_of(&platform);
    let config = || SandboxConfig {
        timeout: Some(Duration::from_secs(5)),
        env_vars: [("A".into(), "config".into()), ("B".into(), "config".into())].into(),
        metadata: [("user".into(), "config".into())].into(),
        ..SandboxConfig::default()
    };
    let with_own = |create: CreateSession| {
        let create = create.timeout(Duration::from_secs(1800)).env("A", "own");
        create.metadata("user", "own").auto_pause(true)
    };
    let create = || client.create_session("tmpl_1");
    for create in [
        with_own(create()).config(config()),
        with_own(create().config(config())),
    ] {
        let session = create.await.unwrap();
        assert_eq!(session.timeout(), Duration::from_secs(1800));
        let sandbox = platform.sandbox(session.sandbox_id()).unwrap();
        assert_eq!(sandbox.timeout, 1800);
        assert_eq!(sandbox.env_vars["A"], "own");
        assert_eq!(sandbox.env_vars["B"], "config");
        assert_eq!(sandbox.metadata["user"], "own");
        let sent = platform.requests("POST /sandboxes").pop().unwrap().json();
        assert_eq!(sent["autoPause"], true);
        session.close().await.unwrap();
    }
    // An invocation that creates a sandbox passes on the options of the sandbox.
    let invoke = client.invoke_agent("tmpl_1", "hi").sandbox(config());
    invoke.await.unwrap();
    let sent = platform.requests("POST /sandboxes").pop().unwrap().json();
    assert_eq!(sent["timeout"], 5);
}

#[tokio::test]
async fn the_timeout_of_a_request_is_its_deadline_within_the_settings() {
    let platform = ScriptedPlatform::start().await;
    let config = ClientConfig {
        timeout: Duration::from_secs(2),
        ..ClientConfig::default()
    };
    let session = client_with(&platform, config)
        .create_session("tmpl_1")
        .await
        .unwrap();
    platform.always(INVOKE, Reply::nothing().hang());
    let request = |seconds| InvocationRequest::prompt("hi").with_timeout(seconds);
    let (own, one) = (Duration::from_secs, request(1));
    let cases = [
        (session.invoke(request(1)), own(1)),
        (session.invoke(&one), own(1)),
        // The timeout of the request is longer than the settings allow.
        (session.invoke(request(3600)), own(2)),
        (session.invoke(request(3600)).timeout(LIMIT), LIMIT),
        (session.invoke(one).timeout(own(3600)), own(1)),
        // The `timeout` of another type belongs to the agent.
        (session.invoke(json!({"timeout": 1})), own(2)),
    ];
    let (calls, limits): (Vec<_>, Vec<_>) = cases.into_iter().unzip();
    for (outcome, expected) in join_all(calls).await.into_iter().zip(limits) {
        match outcome.unwrap_err() {
            Error::Timeout { limit, .. } => assert_eq!(limit, expected),
            other => panic!("{}", other.report()),
        }
    }
    match session.invoke(request(1)).stream().await.unwrap_err() {
        Error::Timeout { limit, .. } => assert_eq!(limit, own(1)),
        other => panic!("{}", other.report()),
    }
    // The timeout is still sent to the agent, and a request with a timeout of zero is not sent.
    let last = platform.requests(INVOKE).pop().unwrap();
    assert_eq!(last.json()["timeout"], 1);
    let sent = platform.count(INVOKE);
    let error = session.invoke(request(0)).await.unwrap_err();
    assert!(matches!(error, Error::Validation { field, .. } if field == "timeout"));
    assert_eq!(platform.count(INVOKE), sent);
}

#[tokio::test]
async fn the_id_of_a_request_is_the_id_of_its_call() {
    let platform = ScriptedPlatform::start().await;
    let session = client_of(&platform).create_session("tmpl_1").await.unwrap();
    let request = || InvocationRequest::prompt("hi").with_request_id("order-1");
    session.invoke(request()).await.unwrap();
    session
        .invoke(request())
        .request_id("order-2")
        .await
        .unwrap();
    let ids: Vec<_> = platform
        .requests(INVOKE)
        .iter()
        .map(|request| request.header("x-request-id").to_owned())
        .collect();
    assert_eq!(ids, ["order-1", "order-2"]);
}
