//! An agent with a health check of its own.
#![allow(clippy::needless_pass_by_value)] // as entrypoints take requests

use ppio::{RequestContext, RuntimeConfig, Value, json};

#[ppio::entrypoint(config = RuntimeConfig::new().debug(true).port(8080))]
fn my_agent(request: Value, context: RequestContext) -> Value {
    let query = request["query"].as_str().unwrap_or_default();
    let sandbox_id = context.sandbox_id().unwrap_or("none");

    // The agent's work.
    let result = format!("query: {query}, sandbox: {sandbox_id}");

    let processed_at = humantime::format_rfc3339(SystemTime::now()).to_string();
    json!({
        "response": result,
        "sandbox_id": sandbox_id,
        "metadata": { "processed_at": processed_at },
    })
}

#[ppio::ping]
fn health_check() -> Value {
    json!({ "status": "healthy", "dependencies": check_dependencies() })
}

// Not shown in docs/python.md.

use std::time::SystemTime;

fn check_dependencies() -> Value {
    json!({ "database": "ok" })
}
