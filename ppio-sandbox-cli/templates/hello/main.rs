//! {{name}}: a value in, a value out.

use ppio::{Value, json};

/// Whatever this returns is the answer. Any `serde` type will do, on both sides.
#[ppio::entrypoint]
async fn agent(request: Value) -> Value {
    let name = request["prompt"].as_str().unwrap_or("world");
    json!({ "message": format!("Hello, {name}!") })
}

#[cfg(test)]
mod tests {
    use ppio::testing::TestAgent;
    use ppio::{Value, json};

    #[tokio::test]
    async fn it_greets() {
        let agent = TestAgent::annotated().unwrap();
        let reply = agent.invoke(&json!({ "prompt": "Ada" })).await;
        let value: Value = reply.value().await;
        assert_eq!(value, json!({ "message": "Hello, Ada!" }));
    }

    #[tokio::test]
    async fn it_is_healthy() {
        let agent = TestAgent::annotated().unwrap();
        assert_eq!(agent.ping().await.status(), 200);
    }
}
