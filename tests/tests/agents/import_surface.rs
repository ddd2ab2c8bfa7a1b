//! Checks that `agent.yaml` can be built, written and read with the exports of either crate.

/// Defines a test that builds, writes and reads an `agent.yaml` with the exports of one crate.
macro_rules! configures_an_agent {
    ($name:ident, $crate_name:ident) => {
        #[test]
        fn $name() -> Result<(), $crate_name::AgentConfigError> {
            use $crate_name::{
                AgentConfig, AgentMetadata, AgentSpec, AgentStatus, DeploymentPhase, RuntimeSpec,
                SandboxSpec,
            };

            let config = AgentConfig::new(
                AgentMetadata::new("my-agent", "1.0.0", "developer@example.com")?
                    .with_description("An agent")
                    .with_created("2024-01-15T10:30:00Z")?,
                AgentSpec::new("src/main.rs")?
                    .with_runtime(
                        RuntimeSpec::new()
                            .with_timeout(60)?
                            .with_memory_limit("1Gi")?
                            .with_cpu_limit("1")?,
                    )
                    .with_sandbox(SandboxSpec::new("tmpl_abc123")),
            )
            .with_status(AgentStatus::new(DeploymentPhase::Deployed).with_build_id("build_1"));

            let read = AgentConfig::from_yaml(&config.to_yaml()?)?;
            assert_eq!(read, config);
            assert_eq!(AgentConfig::from_json(&config.to_json()?)?, config);
            let status = read.status.expect("the status was set");
            assert_eq!(status.phase, Some(DeploymentPhase::Deployed));
            Ok(())
        }
    };
}

/// Defines a test that names, with the exports of one crate, the error type of each checked value.
macro_rules! names_its_errors {
    ($name:ident, $crate_name:ident) => {
        #[test]
        fn $name() {
            use $crate_name::{
                AgentName, ApiVersion, AuthorEmail, ByteSize, CpuLimit, DeploymentPhase,
                DocumentKind, Entrypoint, InvalidAgentName, InvalidAuthorEmail, InvalidByteSize,
                InvalidCpuLimit, InvalidDeploymentPhase, InvalidEntrypoint, InvalidMemoryLimit,
                InvalidPingStatus, InvalidStartTimeout, InvalidTimestamp, MemoryLimit, PingStatus,
                StartTimeout, Timestamp, UnsupportedDocument,
            };

            fn fails<T: std::str::FromStr<Err = E>, E: std::error::Error>() {
                assert!("\u{0}".parse::<T>().is_err());
            }
            fails::<AgentName, InvalidAgentName>();
            fails::<AuthorEmail, InvalidAuthorEmail>();
            fails::<ByteSize, InvalidByteSize>();
            fails::<CpuLimit, InvalidCpuLimit>();
            fails::<DeploymentPhase, InvalidDeploymentPhase>();
            fails::<Entrypoint, InvalidEntrypoint>();
            fails::<MemoryLimit, InvalidMemoryLimit>();
            fails::<Timestamp, InvalidTimestamp>();
            fails::<PingStatus, InvalidPingStatus>();
            fails::<ApiVersion, UnsupportedDocument>();
            fails::<DocumentKind, UnsupportedDocument>();
            assert!(StartTimeout::try_from(0).is_err_and(|_: InvalidStartTimeout| true));
        }
    };
}

names_its_errors!(errors_of_the_runtime, ppio);
names_its_errors!(errors_of_the_client, ppio_agent_client);

configures_an_agent!(with_the_runtime_alone, ppio);
configures_an_agent!(with_the_client_alone, ppio_agent_client);
