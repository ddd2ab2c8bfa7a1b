//! Many concurrent sandboxes on the local platform.

use futures_util::future::join_all;
use ppio_agent_client::SandboxSession;
use serde_json::json;

use crate::isolation_mode::IsolationMode;
use crate::test_platform::TestPlatform;

const SANDBOXES: usize = 100;

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_sandboxes_run_concurrently() {
    for mode in IsolationMode::all() {
        hundred(mode).await;
    }
}

async fn hundred(mode: IsolationMode) {
    let platform = TestPlatform::start(mode).await;
    let template = platform.agent("counter").await;
    let client = platform.client();

    let creations = (0..SANDBOXES).map(|_| async { client.create_session(&template).await });
    let sessions: Vec<_> = join_all(creations)
        .await
        .into_iter()
        .collect::<Result<_, _>>()
        .unwrap_or_else(|error| panic!("{mode:?}: create: {}", error.report()));
    assert_eq!(platform.platform.sandbox_count(), SANDBOXES);

    let count = |expected: u64| {
        let sessions = &sessions;
        async move {
            let answers = join_all(
                sessions
                    .iter()
                    .map(|session| session.invoke(json!({})).into_future()),
            )
            .await;
            for answer in answers {
                let answer =
                    answer.unwrap_or_else(|error| panic!("{mode:?}: invoke: {}", error.report()));
                assert_eq!(answer.result, Some(json!({ "count": expected })));
            }
        }
    };
    count(1).await;
    for outcome in join_all(sessions.iter().map(SandboxSession::pause)).await {
        outcome.unwrap_or_else(|error| panic!("{mode:?}: pause: {}", error.report()));
    }
    for outcome in join_all(sessions.iter().map(SandboxSession::resume)).await {
        outcome.unwrap_or_else(|error| panic!("{mode:?}: resume: {}", error.report()));
    }
    count(2).await;
    for outcome in join_all(sessions.iter().map(SandboxSession::close)).await {
        outcome.unwrap_or_else(|error| panic!("{mode:?}: close: {}", error.report()));
    }
    client.close().await.expect("nothing is left to close");
    platform.stop().await;
}
