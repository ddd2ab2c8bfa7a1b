//! One invocation, in a session that is closed afterwards.

use ppio_agent_client::{AgentRuntimeClient, Error, InvocationRequest};
use serde_json::json;

#[tokio::main]
async fn main() -> Result<(), Error> {
    // With an API key in code.
    let builder = AgentRuntimeClient::builder().api_key("your-api-key");
    builder.scope(async |_client| Ok::<_, Error>(())).await?;

    // With the API key in PPIO_API_KEY.
    AgentRuntimeClient::scope(async |client| {
        let request = InvocationRequest::prompt("Please analyse this data")
            .with_data(json!({"dataset": "sales_data.csv"}))
            .with_timeout(300);

        let call = client.invoke_agent("data-analysis-agent", request);
        let response = call.await?;

        println!("result: {}", response.result.unwrap_or_default());
        println!("took: {} s", response.duration);
        Ok(())
    })
    .await
}
