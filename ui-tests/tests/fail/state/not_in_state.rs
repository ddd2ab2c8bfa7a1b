use ppio::{Next, PingStatus, Request, Response, Value};

struct Pool;

#[ppio::startup]
async fn build() -> Pool {
    Pool
}

#[ppio::ping]
fn health(_pool: Pool) -> PingStatus {
    PingStatus::Healthy
}

#[ppio::middleware]
async fn layer(request: Request, next: Next, _pool: &Pool) -> Response {
    next.run(request).await
}

#[ppio::shutdown]
async fn close(_pool: Pool) {}

#[ppio::entrypoint]
async fn agent(request: Value, _pool: &Pool) -> Value {
    request
}
