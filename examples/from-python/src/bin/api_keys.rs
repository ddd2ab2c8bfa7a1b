//! The imports, and three sources of the API key.
#![allow(unused_imports)] // they are the example

// The author of an agent.
use ppio::{AgentRuntimeApp, RequestContext};

// The developer of a backend.
use ppio_agent_client::{AgentRuntimeClient, SandboxSession};

fn clients() -> Result<[AgentRuntimeClient; 3], ppio_agent_client::Error> {
    // PPIO_API_KEY: the usual way.
    let first = AgentRuntimeClient::from_env()?;

    // In code.
    let second = AgentRuntimeClient::builder()
        .api_key("your-api-key")
        .build()?;

    // From another source.
    let api_key = std::env::var("CUSTOM_API_KEY").unwrap_or_else(|_| load_from_config());
    let third = AgentRuntimeClient::builder().api_key(api_key).build()?;

    Ok([first, second, third])
}

// Not shown in docs/python.md.

fn load_from_config() -> String {
    "key-of-a-file".to_owned()
}

fn main() -> Result<(), ppio_agent_client::Error> {
    for client in clients()? {
        println!("{}", client.auth().api_key().expose());
    }
    Ok(())
}
