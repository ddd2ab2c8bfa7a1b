use ppio::{Next, Request, Response};

#[ppio::middleware(order = ?)]
async fn middleware(request: Request, next: Next) -> Response {
    next.run(request).await
}

fn main() {}
