//! Many concurrent invocations, each in its own session, with a larger connection pool.

fn client() -> Result<AgentRuntimeClient, Error> {
    let config = ClientConfig {
        max_connections: 200,
        max_keepalive_connections: 50,
        keepalive_expiry: Duration::from_secs(60),
        timeout: Duration::from_secs(300),
        ..ClientConfig::default()
    };
    let builder = AgentRuntimeClient::builder().api_key("your-key");
    builder.config(config).build()
}

async fn batch_process(
    client: &AgentRuntimeClient,
    requests: &[&str],
) -> Result<Vec<InvocationResponse>, Error> {
    // All sessions at once.
    let sessions = requests
        .iter()
        .map(|_| client.create_session("batch-agent"));
    let sessions = try_join_all(sessions).await?;

    // All calls at once.
    let calls = sessions.iter().zip(requests);
    let calls = calls.map(|(session, request)| session.invoke(json!({"prompt": request})));
    let results = try_join_all(calls).await;

    // All closed at once, also after an error.
    try_join_all(sessions.iter().map(SandboxSession::close)).await?;
    results
}

// Not shown in docs/python.md.

use std::time::Duration;

use futures_util::future::try_join_all;
use ppio_agent_client::{
    AgentRuntimeClient, ClientConfig, Error, InvocationResponse, SandboxSession,
};
use serde_json::json;

#[tokio::main]
async fn main() -> Result<(), Error> {
    drop(client()?);
    AgentRuntimeClient::scope(async |client| {
        for response in batch_process(&client, &["one", "two", "three"]).await? {
            println!("{}", response.result.unwrap_or_default());
        }
        Ok(())
    })
    .await
}
