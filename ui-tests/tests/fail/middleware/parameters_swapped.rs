use ppio::{Next, Request, Response};

#[ppio::middleware]
async fn middleware(next: Next, request: Request) -> Response {
    next.run(request).await
}

fn main() {}
