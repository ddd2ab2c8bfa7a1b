//! The test platform, extended with a client and agents.

use std::path::PathBuf;

use ppio_agent_client::{AgentRuntimeClient, ClientConfig};
use ppio_sandbox_local::TemplateSpec;
use ppio_test_support::{eventually, example_binary};

use crate::isolation_mode::IsolationMode;
use crate::test_platform::TestPlatform;

impl TestPlatform {
    /// Starts a platform that isolates its sandboxes in the given mode.
    pub(crate) async fn start(mode: IsolationMode) -> Self {
        Self::with(|builder| builder.isolation(mode.isolation).cgroups(mode.cgroups)).await
    }

    /// Returns a client of the platform.
    pub(crate) fn client(&self) -> AgentRuntimeClient {
        self.client_with(ClientConfig::default())
    }

    /// Returns a client of the platform with these settings.
    pub(crate) fn client_with(&self, config: ClientConfig) -> AgentRuntimeClient {
        let config = ClientConfig {
            base_url: config.base_url.or_else(|| Some(self.platform.url())),
            domain: Some(self.platform.domain()),
            ..config
        };
        AgentRuntimeClient::builder()
            .api_key(self.platform.api_key())
            .config(config)
            .build()
            .expect("a key and good addresses")
    }

    /// Returns the path of the certificate of the platform's own authority.
    pub(crate) fn certificate(&self) -> PathBuf {
        let environment = self.platform.environment();
        PathBuf::from(&environment["SSL_CERT_FILE"])
    }

    /// Builds a template and returns its id.
    pub(crate) async fn template(&self, spec: TemplateSpec) -> String {
        let template = self.platform.build_template(spec).await;
        template.expect("the template builds").id
    }

    /// Builds a template that runs one of the examples, and returns its id.
    pub(crate) async fn agent(&self, example: &'static str) -> String {
        let binary = tokio::task::spawn_blocking(move || example_binary(example))
            .await
            .expect("the example builds");
        self.template(TemplateSpec::new(example).binary(binary))
            .await
    }

    /// Builds a template of the counting agent, and returns its id.
    pub(crate) async fn counting_agent(&self) -> String {
        let binary = env!("CARGO_BIN_EXE_counting-agent");
        self.template(TemplateSpec::new("counting").binary(binary))
            .await
    }

    /// Like [`TestPlatform::stop`], but first waits for sandboxes that clients close in the
    /// background.
    pub(crate) async fn stop_when_empty(self) {
        eventually("no sandbox is left", || {
            self.platform.sandbox_count() == 0 && self.directories().is_empty()
        })
        .await;
        self.stop().await;
    }
}
