use ppio::{Reply, Value};

#[ppio::entrypoint]
async fn agent(request: Value) -> Reply<Value, Vec<Value>> {
    Reply::Value(request)
}
