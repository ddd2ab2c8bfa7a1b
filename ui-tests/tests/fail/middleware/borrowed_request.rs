use ppio::{Next, Request, Response};

#[ppio::middleware]
async fn middleware(request: &Request, next: Next) -> Response {
    unimplemented!("{request:?} {next:?}")
}

fn main() {}
