use ppio::{Next, Request, Response, Value};

#[ppio::entrypoint]
fn agent(request: Value) -> Value {
    request
}

#[ppio::middleware]
async fn main(request: Request, next: Next) -> Response {
    next.run(request).await
}
