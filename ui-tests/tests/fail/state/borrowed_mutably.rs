use ppio::{Next, PingStatus, Request, Response, State, Value};

struct Pool;

#[ppio::startup]
async fn build() -> Pool {
    Pool
}

#[ppio::ping]
fn health(_pool: &mut State<Pool>) -> PingStatus {
    PingStatus::Healthy
}

#[ppio::middleware]
async fn layer(request: Request, _pool: &mut State<Pool>, next: Next) -> Response {
    next.run(request).await
}

#[ppio::shutdown]
async fn close(_pool: &mut State<Pool>) {}

#[ppio::entrypoint]
async fn agent(request: Value, _pool: &mut State<Pool>) -> Value {
    request
}
