use ppio::{Next, Request, Response};

#[ppio::middleware]
async fn middleware(request: Request, next: &Next) -> Response {
    next.run(request).await
}

fn main() {}
