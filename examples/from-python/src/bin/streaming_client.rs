//! Reads an answer item by item.

async fn streaming_example() -> Result<(), Error> {
    AgentRuntimeClient::scope(async |client| {
        let request = InvocationRequest::prompt("Write a story of the future")
            .with_max_tokens(2000)
            .with_stream_options(json!({"include_metadata": true}));
        let mut story = client.invoke_agent_stream("story-writer", request).await?;
        while let Some(chunk) = story.next().await {
            print!("{}", chunk?.as_str().unwrap_or_default());
        }
        Ok(())
    })
    .await
}

// Not shown in docs/python.md.

use ppio_agent_client::{AgentRuntimeClient, Error, InvocationRequest};
use serde_json::json;

#[tokio::main]
async fn main() -> Result<(), Error> {
    streaming_example().await
}
