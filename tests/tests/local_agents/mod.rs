//! The local platform with agents on it.

#![allow(dead_code, reason = "each test program uses its own part of this")]

use std::path::PathBuf;
use std::time::{Duration, Instant};

use integration_tests::example_binary;
use ppio_agent_client::{AgentRuntimeClient, ClientConfig};
use ppio_sandbox_local::{LocalPlatform, LocalPlatformBuilder, TemplateSpec};
use tempfile::TempDir;

/// How long a condition may take to come true.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

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

    pub(crate) async fn until_no_sandbox_lives(&self) {
        let deadline = Instant::now() + PATIENCE;
        while self.platform.sandbox_count() > 0 {
            assert!(Instant::now() < deadline, "a sandbox still lives");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Ends the platform, and checks that nothing was left on it.
    pub(crate) async fn stop(self) {
        self.until_no_sandbox_lives().await;
        self.platform.shutdown().await.expect("it ends");
        drop(self.home);
    }
}
