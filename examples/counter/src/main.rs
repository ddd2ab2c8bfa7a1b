//! An agent with state: it counts its invocations while its sandbox exists.

use std::sync::atomic::{AtomicU64, Ordering};

use ppio::{Value, json};

static INVOCATIONS: AtomicU64 = AtomicU64::new(0);

#[ppio::entrypoint]
async fn agent(_request: Value) -> Value {
    json!({ "count": INVOCATIONS.fetch_add(1, Ordering::Relaxed) + 1 })
}
