//! An agent with a memory: it counts its invocations for as long as its sandbox lives.

use std::sync::atomic::{AtomicU64, Ordering};

use ppio::{Value, json};

static INVOCATIONS: AtomicU64 = AtomicU64::new(0);

#[ppio::entrypoint]
async fn agent(_request: Value) -> Value {
    json!({ "count": INVOCATIONS.fetch_add(1, Ordering::Relaxed) + 1 })
}
