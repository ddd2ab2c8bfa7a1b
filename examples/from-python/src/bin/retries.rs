//! An invocation that is retried after a rate limit and after a network error.

use std::time::Duration;

use ppio_agent_client::{AgentRuntimeClient, Error, InvocationResponse};
use serde_json::Value;

async fn robust_agent_call(id: &str, request: &Value) -> Result<InvocationResponse, Error> {
    let max_retries = 3;
    let retry_delay = Duration::from_secs(1);

    let mut attempt = 1;
    loop {
        let call = AgentRuntimeClient::scope(async |client| client.invoke_agent(id, request).await);
        let delay = match call.await {
            // A limit: wait longer each time.
            Err(error) if error.is_rate_limit() && attempt < max_retries => {
                retry_delay * 2_u32.pow(attempt)
            }
            // The network: try again.
            Err(error) if error.is_network() && attempt < max_retries => retry_delay,
            // An error of the agent is not retried.
            Err(error) => {
                tracing::error!("the agent failed: {}", error.report());
                return Err(error);
            }
            Ok(response) => return Ok(response),
        };
        tokio::time::sleep(delay).await;
        attempt += 1;
    }
}

// Not shown in docs/python.md.

#[tokio::main]
async fn main() -> Result<(), Error> {
    tracing_subscriber::fmt().init();
    let template = std::env::args().nth(1).unwrap_or_default();
    let request = serde_json::json!({"prompt": "Ada"});
    let response = robust_agent_call(&template, &request).await?;
    println!("{}", response.result.unwrap_or_default());
    Ok(())
}
