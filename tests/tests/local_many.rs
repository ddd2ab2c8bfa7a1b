//! Many sandboxes at once on the local platform.

use futures_util::future::join_all;
use integration_tests::{Keeping, TestPlatform};
use ppio_agent_client::SandboxSession;
use serde_json::json;

const SANDBOXES: usize = 100;

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_sandboxes_live_at_once() {
    for keeping in Keeping::all().await {
        hundred(keeping).await;
    }
}

async fn hundred(keeping: Keeping) {
    let platform = TestPlatform::start(keeping).await;
    let template = platform.agent("counter").await;
    let client = platform.client();

    let creations = (0..SANDBOXES).map(|_| async { client.create_session(&template).await });
    let sessions: Vec<_> = join_all(creations)
        .await
        .into_iter()
        .collect::<Result<_, _>>()
        .unwrap_or_else(|error| panic!("{keeping:?}: create: {error}"));
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
                let answer = answer.unwrap_or_else(|error| panic!("{keeping:?}: invoke: {error}"));
                assert_eq!(answer.result, Some(json!({ "count": expected })));
            }
        }
    };
    count(1).await;
    for outcome in join_all(sessions.iter().map(SandboxSession::pause)).await {
        outcome.unwrap_or_else(|error| panic!("{keeping:?}: pause: {error}"));
    }
    for outcome in join_all(sessions.iter().map(SandboxSession::resume)).await {
        outcome.unwrap_or_else(|error| panic!("{keeping:?}: resume: {error}"));
    }
    count(2).await;
    for outcome in join_all(sessions.iter().map(SandboxSession::close)).await {
        outcome.unwrap_or_else(|error| panic!("{keeping:?}: close: {error}"));
    }
    client.close().await.expect("nothing is left to close");
    platform.stop().await;
}
