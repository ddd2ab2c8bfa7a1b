//! An agent that returns how often it was called, its ids, its trace and an environment variable.

use std::sync::atomic::{AtomicU64, Ordering};

use ppio::{RequestContext, Value, json};

static CALLS: AtomicU64 = AtomicU64::new(0);

#[ppio::entrypoint]
async fn agent(request: Value, context: RequestContext) -> Value {
    let call = CALLS.fetch_add(1, Ordering::SeqCst) + 1;
    println!("this is call {call}");
    let variable = request["variable"].as_str().unwrap_or("PPIO_SANDBOX_ID");
    json!({
        "call": call,
        "session_id": context.session_id(),
        "request_id": context.request_id(),
        "traceparent": context.header("traceparent"),
        "variable": std::env::var(variable).ok(),
    })
}
