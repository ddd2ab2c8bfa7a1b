//! The scripted platform for the examples in the client's documentation.
//!
//! The helpers are macros, because a function that takes a client would make this crate depend on
//! the crate of that client.

use crate::scripted_platform::{ScriptedPlatform, agent_document};

/// Runs an example with a client of a platform that has the templates `tmpl_1`, `tmpl1`, `my-agent`
/// and `base`, whose agents echo, and the sandbox `sb_1`. Panics if the example fails.
#[macro_export]
macro_rules! client_example {
    ($example:expr $(,)?) => {{
        fn run(
            example: impl AsyncFnOnce(
                ::ppio_agent_client::AgentRuntimeClient,
            ) -> Result<(), ::ppio_agent_client::Error>,
        ) {
            $crate::client_example::block_on(async {
                let platform = $crate::client_example::platform().await;
                let config = ::ppio_agent_client::ClientConfig {
                    base_url: Some(platform.url()),
                    domain: Some(platform.domain()),
                    ..Default::default()
                };
                let client = ::ppio_agent_client::AgentRuntimeClient::builder()
                    .api_key("sk-test")
                    .config(config)
                    .build()
                    .expect("a key and valid addresses");
                let result = example(client.clone()).await;
                let closed = client.close().await;
                if let Err(error) = result.and(closed) {
                    panic!("the example fails: {}", error.report());
                }
            });
        }
        run($example)
    }};
}

/// Creates a sandbox and returns its daemon, within [`client_example`].
#[macro_export]
macro_rules! client_example_envd {
    ($client:expr) => {{
        let minute = ::std::time::Duration::from_secs(60);
        let new = ::ppio_agent_client::platform::NewSandbox::new("base", minute);
        let sandbox = $client.platform().create_sandbox(&new).await?;
        $client.envd(&sandbox.address(), sandbox.envd_access_token.as_ref())
    }};
}

/// Creates a template and returns its build, which waits for its contents, within
/// [`client_example`].
#[macro_export]
macro_rules! client_example_ticket {
    ($client:expr) => {{
        let new = ::ppio_agent_client::platform::NewTemplate {
            name: "my-agent".into(),
            ..Default::default()
        };
        $client.platform().create_template(&new).await?
    }};
}

/// Starts the platform of an example.
pub async fn platform() -> ScriptedPlatform {
    let platform = ScriptedPlatform::start().await;
    for template in ["tmpl1", "my-agent", "base"] {
        platform.add_template(template, &agent_document(template));
    }
    platform.add_sandbox("sb_1", "tmpl_1");
    platform
}

/// Runs an example to its end.
///
/// # Panics
///
/// If the example panics, or the runtime cannot be created.
pub fn block_on(example: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(example);
}
