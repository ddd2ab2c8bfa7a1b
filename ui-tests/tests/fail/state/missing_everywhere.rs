use ppio::{Next, PingStatus, Request, Response, State, Value};

struct Pool;

#[ppio::ping]
fn health(_pool: State<Pool>) -> PingStatus {
    PingStatus::Healthy
}

#[ppio::middleware]
async fn layer(request: Request, next: Next, _pool: State<Pool>) -> Response {
    next.run(request).await
}

#[ppio::shutdown]
async fn close(_pool: &State<Pool>) {}

#[ppio::entrypoint]
async fn agent(request: Value) -> Value {
    request
}
