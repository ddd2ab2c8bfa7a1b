use ppio::{Next, Request, Response};

#[ppio::middleware(order = 3_000_000_000)]
async fn middleware(request: Request, next: Next) -> Response {
    next.run(request).await
}

fn main() {}
