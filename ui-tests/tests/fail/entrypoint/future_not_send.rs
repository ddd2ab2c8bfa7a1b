use std::rc::Rc;

use ppio::Value;

#[ppio::entrypoint]
async fn agent(request: Value) -> Value {
    let shared = Rc::new(request);
    std::future::ready(()).await;
    Value::clone(&shared)
}
