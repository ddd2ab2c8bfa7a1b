use ppio::{RequestContext as C, Value};

#[ppio::entrypoint]
async fn agent(request: Value, _: C, _: C, _: C, _: C, _: C, _: C, _: C, _: C, _: C, _: C, _: C, _: &C) -> Value {
    request
}
