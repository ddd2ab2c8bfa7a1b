use ppio::{Next, Request};

#[ppio::middleware]
async fn middleware(request: Request, next: Next) {
    next.run(request).await;
}

fn main() {}
