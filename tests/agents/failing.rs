//! An agent whose handler fails if the request contains `{"fail": "<text>"}`.

use ppio::Value;

#[ppio::entrypoint]
async fn agent(request: Value) -> Result<Value, String> {
    match request["fail"].as_str() {
        Some(text) => Err(text.to_owned()),
        None => Ok(request),
    }
}
