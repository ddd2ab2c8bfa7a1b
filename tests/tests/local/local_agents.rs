//! The local platform with agents on it.

use std::path::PathBuf;

use ppio_agent_client::{AgentRuntimeClient, ClientConfig};
use ppio_sandbox_local::{LocalPlatform, LocalPlatformBuilder, TemplateSpec};
use ppio_test_support::{eventually, example_binary};
use tempfile::TempDir;

/// A platform of its own for one test.
pub(crate) struct Local {
    pub(crate) platform: LocalPlatform,
    home: TempDir,
}

impl Local {
    pub(crate) async fn start() -> Self {
        Self::start_with(|builder| builder).await
    }

    pub(crate) async fn start_with(
        set: impl FnOnce(LocalPlatformBuilder) -> LocalPlatformBuilder,
    ) -> Self {
        let home = tempfile::tempdir().expect("a directory");
        let builder = LocalPlatform::builder().home(home.path());
        let platform = set(builder).start().await.expect("a platform");
        Self { platform, home }
    }

    /// Makes a template of an example of this workspace, and returns its id.
    pub(crate) async fn example(&self, name: &'static str) -> String {
        let built = tokio::task::spawn_blocking(move || example_binary(name));
        let binary = built.await.expect("it builds");
        self.template(TemplateSpec::new(name).binary(binary)).await
    }

    /// Makes a template of the agent that counts, and returns its id.
    pub(crate) async fn counting_agent(&self) -> String {
        let binary = env!("CARGO_BIN_EXE_counting-agent");
        self.template(TemplateSpec::new("counting").binary(binary))
            .await
    }

    pub(crate) async fn template(&self, spec: TemplateSpec) -> String {
        let template = self.platform.build_template(spec).await;
        template.expect("it can be built").id
    }

    /// A client of this platform.
    pub(crate) fn client(&self) -> AgentRuntimeClient {
        self.client_with(ClientConfig::default())
    }

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

    /// The certificate of the platform's own authority.
    pub(crate) fn certificate(&self) -> PathBuf {
        let environment = self.platform.environment();
        PathBuf::from(&environment["SSL_CERT_FILE"])
    }

    /// Ends the platform, and checks that nothing was left on it.
    pub(crate) async fn stop(self) {
        let platform = &self.platform;
        eventually("no sandbox is left", || platform.sandbox_count() == 0).await;
        self.platform.shutdown().await.expect("it ends");
        drop(self.home);
    }
}
