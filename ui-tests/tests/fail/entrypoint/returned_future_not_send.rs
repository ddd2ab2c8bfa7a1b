use std::rc::Rc;

use ppio::Value;

#[ppio::entrypoint]
fn agent(request: Value) -> impl Future<Output = Value> {
    let shared = Rc::new(request);
    async move {
        std::future::ready(()).await;
        Value::clone(&shared)
    }
}
