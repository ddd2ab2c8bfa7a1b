use ppio::{Next, Request, Response};

struct Auth;

impl Auth {
    #[ppio::middleware]
    async fn check(request: Request, next: Next) -> Response {
        next.run(request).await
    }
}

fn main() {}
