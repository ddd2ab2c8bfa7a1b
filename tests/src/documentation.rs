//! What the examples of the client's documentation run against: a platform that answers as a real one
//! would, so that an example that stops working fails a test.

use std::time::Duration;

use ppio_agent_client::platform::{BuildTicket, Envd, NewSandbox, NewTemplate};
use ppio_agent_client::{AgentRuntimeClient, Error};

use crate::scripted_platform::{ScriptedPlatform, agent_document, client_of};

/// Runs an example with a client of a platform that has the templates `tmpl_1`, `tmpl1`, `my-agent` and
/// `base`, whose agents echo, and the sandbox `sb_1`.
///
/// # Panics
/// The example fails.
pub fn example(body: impl AsyncFnOnce(AgentRuntimeClient) -> Result<(), Error>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let platform = ScriptedPlatform::start().await;
        for template in ["tmpl1", "my-agent", "base"] {
            platform.add_template(template, &agent_document(template));
        }
        platform.add_sandbox("sb_1", "tmpl_1");
        let client = client_of(&platform);
        let ran = body(client.clone()).await;
        let closed = client.close().await;
        if let Err(error) = ran.and(closed) {
            panic!("the example fails: {}", error.report());
        }
    });
}

/// The daemon of a new sandbox.
///
/// # Errors
/// Those of making a sandbox.
pub async fn envd(client: &AgentRuntimeClient) -> Result<Envd, Error> {
    let new = NewSandbox::new("base", Duration::from_secs(60));
    let sandbox = client.platform().create_sandbox(&new).await?;
    Ok(client.envd(&sandbox.address(), sandbox.envd_access_token.as_ref()))
}

/// A build that waits for its contents.
///
/// # Errors
/// Those of making a template.
pub async fn ticket(client: &AgentRuntimeClient) -> Result<BuildTicket, Error> {
    let new = NewTemplate {
        name: "my-agent".into(),
        ..NewTemplate::default()
    };
    client.platform().create_template(&new).await
}
