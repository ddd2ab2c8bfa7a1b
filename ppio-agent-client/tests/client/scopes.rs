//! A scope closes what it has created, whether its body succeeds, fails or panics, or the scope is
//! dropped.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use ppio_agent_client::{AgentRuntimeClient, ClientBuilder, ClientConfig, Error, SandboxSession};
use ppio_test_support::scripted_platform::{Reply, ScriptedPlatform};

use crate::clients::client_of;

fn builder(platform: &ScriptedPlatform) -> ClientBuilder {
    let config = ClientConfig {
        max_retries: 0,
        ..ClientConfig::default()
    };
    let builder = AgentRuntimeClient::builder().api_key("k").config(config);
    builder.base_url(platform.url()).domain(platform.domain())
}

/// Handles that outlive the scope, so that no session is closed because its last handle is dropped.
type Kept = Arc<Mutex<Vec<SandboxSession>>>;

fn keep(kept: &Kept, session: &SandboxSession) {
    kept.lock().unwrap().push(session.clone());
}

/// How a body ends.
#[derive(Clone, Copy, PartialEq)]
enum End {
    Success,
    Error,
    Panic,
}

fn end(how: End) -> Result<u8, Error> {
    match how {
        End::Success => Ok(7),
        End::Error => Err(Error::Validation {
            field: "body".into(),
            message: "failed".into(),
        }),
        End::Panic => panic!("the body panics"),
    }
}

fn check(how: End, outcome: Result<Result<u8, Error>, tokio::task::JoinError>) {
    match how {
        End::Success => assert_eq!(outcome.unwrap().unwrap(), 7),
        End::Error => assert_eq!(outcome.unwrap().unwrap_err().code(), "validation"),
        End::Panic => assert!(outcome.unwrap_err().is_panic()),
    }
}

#[tokio::test]
async fn a_client_scope_closes_every_session_however_it_ends() {
    for how in [End::Success, End::Error, End::Panic] {
        let platform = ScriptedPlatform::start().await;
        let kept = Kept::default();
        let (builder, handles) = (builder(&platform), Arc::clone(&kept));
        // Spawning the scope shows that its future is `Send`.
        let scope = tokio::spawn(async move {
            builder
                .scope(async |client| {
                    for _ in 0..2 {
                        keep(&handles, &client.create_session("tmpl_1").await?);
                    }
                    drop(client.create_session("tmpl_1").await?);
                    end(how)
                })
                .await
        });
        check(how, scope.await);
        assert!(platform.live().is_empty(), "closed before the scope ends");
        assert_eq!(kept.lock().unwrap().len(), 2);
    }
}

#[tokio::test]
async fn a_session_scope_closes_its_session_however_it_ends() {
    for how in [End::Success, End::Error, End::Panic] {
        let platform = ScriptedPlatform::start().await;
        let client = client_of(&platform);
        let other = client.create_session("tmpl_1").await.unwrap();
        let kept = Kept::default();
        let handles = Arc::clone(&kept);
        let scope = tokio::spawn(async move {
            let body = async |session: SandboxSession| {
                keep(&handles, &session);
                session.invoke("hi").await?;
                end(how)
            };
            client.with_session("tmpl_1", body).await
        });
        check(how, scope.await);
        let live: Vec<_> = platform.live().into_iter().map(|live| live.id).collect();
        assert_eq!(live, [other.sandbox_id()]);
    }
}

#[tokio::test]
async fn a_scope_that_is_dropped_closes_in_the_background() {
    let platform = ScriptedPlatform::start().await;
    let kept = Kept::default();
    platform.always("agent POST /invocations", Reply::nothing().hang());
    let (builder, handles) = (builder(&platform), Arc::clone(&kept));
    let client_scope = tokio::spawn(async move {
        builder
            .scope(async |client| {
                let session = client.create_session("tmpl_1").await?;
                keep(&handles, &session);
                session.invoke("hi").await
            })
            .await
    });
    let (client, handles) = (client_of(&platform), Arc::clone(&kept));
    let session_scope = tokio::spawn(async move {
        let body = async |session: SandboxSession| {
            keep(&handles, &session);
            session.invoke("hi").await
        };
        client.with_session("tmpl_1", body).await
    });
    platform
        .eventually("both scopes wait for an agent", |platform| {
            platform.count("agent POST /invocations") == 2
        })
        .await;
    for scope in [client_scope, session_scope] {
        scope.abort();
        assert!(scope.await.unwrap_err().is_cancelled());
    }
    platform.eventually_empty().await;
    assert_eq!(kept.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn a_scope_reports_a_failure_to_close_unless_its_body_failed() {
    for how in [End::Success, End::Error] {
        let platform = ScriptedPlatform::start().await;
        platform.script("DELETE /sandboxes/{id}", Reply::error(500, "not today"));
        let kept = Kept::default();
        let outcome = builder(&platform)
            .scope(async |client| {
                keep(&kept, &client.create_session("tmpl_1").await?);
                end(how)
            })
            .await;
        let code = if how == End::Error {
            "validation"
        } else {
            "sandbox_operation"
        };
        assert_eq!(outcome.unwrap_err().code(), code);
    }
}

#[tokio::test]
async fn a_detached_session_outlives_its_scope_and_a_failed_creation_has_no_body() {
    let platform = ScriptedPlatform::start().await;
    let id = builder(&platform)
        .scope(async |client| {
            let detach = async |session: SandboxSession| Ok::<_, Error>(session.detach());
            let create = client.create_session("tmpl_1");
            create.timeout(Duration::from_secs(99)).scope(detach).await
        })
        .await
        .unwrap();
    assert_eq!(platform.sandbox(&id).unwrap().timeout, 99);

    let client = client_of(&platform);
    let outcome = client
        .with_session("missing", async |_| -> Result<(), Error> {
            panic!("there is no session")
        })
        .await;
    assert_eq!(outcome.unwrap_err().root().code(), "template_not_found");
}
