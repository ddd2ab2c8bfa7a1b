//! The smallest agent: JSON in, JSON out.

use ppio::{Value, json};

#[ppio::entrypoint]
async fn agent(request: Value) -> Value {
    let name = request["prompt"].as_str().unwrap_or("world");
    json!({ "message": format!("Hello, {name}!") })
}
