use ppio::{Next, Request, Response};

#[ppio::middleware(order = 1 all)]
async fn middleware(request: Request, next: Next) -> Response {
    next.run(request).await
}

fn main() {}
