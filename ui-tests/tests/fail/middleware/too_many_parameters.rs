use ppio::{Next, Request, RequestContext, Response};

#[ppio::middleware]
async fn middleware(request: Request, next: Next, _context: RequestContext) -> Response {
    next.run(request).await
}

fn main() {}
