//! A session that is paused, resumed and replaced.

async fn sandbox_lifecycle_example() -> Result<(), Error> {
    AgentRuntimeClient::scope(async |client| {
        let session = client.create_session("data-processing-agent").await?;
        println!("session created, sandbox: {}", session.sandbox_id());

        let request = json!({"prompt": "process", "data": {"dataset": "large_dataset.csv"}});
        let response = session.invoke(request).await?;
        println!("first call: {}", response.result.unwrap_or_default());

        // A paused sandbox keeps its memory and uses no processor.
        session.pause().await?;
        assert_eq!(session.get_status().await?, SessionStatus::Paused);
        println!("paused");

        tokio::time::sleep(Duration::from_secs(2)).await;

        session.resume().await?;
        assert_eq!(session.get_status().await?, SessionStatus::Active);
        println!("resumed");

        // The agent's state is still there.
        let request = json!({"prompt": "go on", "context": "resume_processing"});
        let response = session.invoke(request).await?;
        println!("after the pause: {}", response.result.unwrap_or_default());

        // To start without that state, close the session and create another.
        session.close().await?;
        println!("session {} closed", session.sandbox_id());

        let session = client.create_session("data-processing-agent").await?;
        println!("new session, sandbox: {}", session.sandbox_id());

        let request = json!({"prompt": "start over", "data": {"dataset": "new_dataset.csv"}});
        let response = session.invoke(request).await?;
        println!(
            "in the new session: {}",
            response.result.unwrap_or_default()
        );
        Ok(()) // the scope closes what is open, also after an error
    })
    .await
}

// Not shown in docs/python.md.

use std::time::Duration;

use ppio_agent_client::{AgentRuntimeClient, Error, SessionStatus};
use serde_json::json;

#[tokio::main]
async fn main() -> Result<(), Error> {
    sandbox_lifecycle_example().await
}
