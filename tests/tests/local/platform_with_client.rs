//! The test platform with a client and agents on it.

use ppio_agent_client::{AgentRuntimeClient, ClientConfig};
use ppio_sandbox_local::TemplateSpec;
use ppio_test_support::example_binary;

use crate::isolation_mode::IsolationMode;
use crate::test_platform::TestPlatform;

impl TestPlatform {
    /// Starts a platform that isolates its sandboxes in this mode.
    pub(crate) async fn start(mode: IsolationMode) -> Self {
        Self::with(|builder| builder.isolation(mode.isolation).cgroups(mode.cgroups)).await
    }

    /// A client of the platform.
    pub(crate) fn client(&self) -> AgentRuntimeClient {
        AgentRuntimeClient::builder()
            .config(ClientConfig {
                base_url: Some(self.platform.url()),
                domain: Some(self.platform.domain()),
                ..ClientConfig::default()
            })
            .api_key(self.platform.api_key())
            .build()
            .expect("a key and good addresses")
    }

    /// The id of a template that runs one of the examples.
    pub(crate) async fn agent(&self, example: &'static str) -> String {
        let binary = tokio::task::spawn_blocking(move || example_binary(example))
            .await
            .expect("the example builds");
        let spec = TemplateSpec::new(example).binary(binary);
        let template = self.platform.build_template(spec).await;
        template.expect("the template builds").id
    }
}
