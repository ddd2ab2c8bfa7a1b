use ppio::{Next, Request};

#[ppio::middleware]
async fn middleware(request: Request, next: Next) -> u16 {
    next.run(request).await.status().as_u16()
}

fn main() {}
