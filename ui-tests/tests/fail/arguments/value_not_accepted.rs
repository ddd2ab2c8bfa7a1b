use ppio::{Next, Request, Response};

#[ppio::middleware(all = true)]
async fn middleware(request: Request, next: Next) -> Response {
    next.run(request).await
}

fn main() {}
