//! Every type that a user builds can be built outside the crate, and each setter sets the field
//! that it names.

use std::time::Duration;

use ppio_agent_protocol::{
    AgentConfig, AgentMetadata, AgentSpec, AgentStatus, ByteSize, DeploymentPhase, ErrorItem,
    InvocationRequest, InvocationResponse, MemoryLimit, PingResponse, PingStatus, RuntimeSpec,
    SandboxSpec,
};
use serde_json::{Map, Value, json};

fn object(key: &str, value: u64) -> Map<String, Value> {
    Map::from_iter([(key.to_owned(), json!(value))])
}

#[test]
fn an_agent_config() {
    let metadata = AgentMetadata::new("my-agent", "1.0.0", "developer@example.com")
        .unwrap()
        .with_description("d")
        .with_created("2024-01-15T10:30:00Z")
        .unwrap();
    let runtime = RuntimeSpec::new()
        .with_timeout(60)
        .unwrap()
        .with_memory_limit("1Gi")
        .unwrap()
        .with_cpu_limit("500m")
        .unwrap();
    let spec = AgentSpec::new("src/main.rs")
        .unwrap()
        .with_runtime(runtime)
        .with_sandbox(SandboxSpec::new("t1"));
    let status = AgentStatus::new(DeploymentPhase::Deployed)
        .with_template_id("t2")
        .with_last_deployed("2024-01-15T11:00:00Z")
        .unwrap()
        .with_build_id("b1");
    let config = AgentConfig::new(metadata, spec).with_status(status);

    assert_eq!(
        serde_json::to_value(&config).unwrap(),
        json!({
            "apiVersion": "v1", "kind": "Agent",
            "metadata": {
                "name": "my-agent", "version": "1.0.0", "author": "developer@example.com",
                "description": "d", "created": "2024-01-15T10:30:00Z",
            },
            "spec": {
                "entrypoint": "src/main.rs",
                "runtime": {"timeout": 60, "memory_limit": "1Gi", "cpu_limit": "500m"},
                "sandbox": {"template_id": "t1"},
            },
            "status": {
                "phase": "deployed", "template_id": "t2",
                "last_deployed": "2024-01-15T11:00:00Z", "build_id": "b1",
            },
        })
    );
}

#[test]
fn a_setter_checks_its_value_at_once() {
    let metadata = || AgentMetadata::new("a", "1", "a@b.cn").unwrap();
    let runtime = RuntimeSpec::new;
    let status = || AgentStatus::new(DeploymentPhase::Deployed);
    for (error, text) in [
        (
            AgentMetadata::new("My Agent", "1", "a@b.cn").err(),
            "metadata.name: \"My Agent\" holds 'M'",
        ),
        (
            AgentMetadata::new("a", " ", "a@b.cn").err(),
            "metadata.version: the version is empty",
        ),
        (
            AgentMetadata::new("a", "1", "me".to_owned()).err(),
            "metadata.author: \"me\" is not an e-mail address",
        ),
        (
            metadata().with_created("yesterday").err(),
            "metadata.created: \"yesterday\" is not a time in ISO 8601",
        ),
        (
            AgentSpec::new("agent.js").err(),
            "spec.entrypoint: \"agent.js\" is neither",
        ),
        (
            runtime().with_timeout(0).err(),
            "spec.runtime.timeout: 0 seconds is not a start timeout, use 1 to 3600",
        ),
        (
            runtime().with_timeout(Duration::from_millis(500)).err(),
            "spec.runtime.timeout: 0.5 seconds",
        ),
        (
            runtime().with_memory_limit("1Gx").err(),
            "spec.runtime.memory_limit: ",
        ),
        (
            runtime().with_memory_limit(ByteSize::new(0)).err(),
            "spec.runtime.memory_limit: a memory limit of zero",
        ),
        (
            runtime().with_cpu_limit("half").err(),
            "spec.runtime.cpu_limit: \"half\" is not a number of processors",
        ),
        (
            status().with_last_deployed("now").err(),
            "status.last_deployed: \"now\" is not a time in ISO 8601",
        ),
    ] {
        let error = error.expect(text).to_string();
        assert!(error.starts_with(text), "{error}");
    }
    // Values of the fields' types are taken as they are.
    let limit: MemoryLimit = "1Gi".parse().unwrap();
    let set = runtime().with_memory_limit(limit).unwrap();
    assert_eq!(set.memory_limit, Some(limit));
}

#[test]
fn an_invocation_request() {
    let request = InvocationRequest::prompt("p")
        .with_data(object("d", 1))
        .with_sandbox_id("s")
        .with_timeout(30)
        .with_stream(true)
        .with_stream_options(object("o", 2))
        .with_max_tokens(5)
        .with_temperature(0.5)
        .with_metadata(object("m", 3))
        .with_user_id("u")
        .with_request_id("r");

    assert_eq!(
        serde_json::to_value(&request).unwrap(),
        json!({
            "prompt": "p", "data": {"d": 1}, "sandbox_id": "s", "timeout": 30, "stream": true,
            "stream_options": {"o": 2}, "max_tokens": 5, "temperature": 0.5, "metadata": {"m": 3},
            "user_id": "u", "request_id": "r",
        })
    );
}

#[test]
fn an_invocation_response() {
    let mut response = InvocationResponse::success(42);
    response.duration = 0.25;
    assert_eq!(
        serde_json::to_value(&response).unwrap(),
        json!({
            "result": 42, "status": "success", "duration": 0.25, "metadata": null, "error": null,
        })
    );
    assert!(!InvocationResponse::<u32>::failure("no").is_success());
}

#[test]
fn a_ping_response() {
    let ping = PingResponse::new(PingStatus::HealthyBusy)
        .with_message("m")
        .with_timestamp("2024-01-15T10:30:00Z")
        .with_time_of_last_update(7);
    assert_eq!(
        serde_json::to_value(&ping).unwrap(),
        json!({
            "status": "HealthyBusy", "message": "m", "timestamp": "2024-01-15T10:30:00Z",
            "time_of_last_update": 7,
        })
    );
}

#[test]
fn an_error_item() {
    let item = ErrorItem::new("e").with_type("T").with_request_id("r");
    assert_eq!(
        serde_json::to_value(&item).unwrap(),
        json!({"error": "e", "error_type": "T", "request_id": "r"})
    );
}
