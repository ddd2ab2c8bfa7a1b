use ppio::{Next, Request, Response};

#[ppio::middleware]
fn middleware(request: Request, next: Next) -> Response {
    unimplemented!("{request:?} {next:?}")
}

fn main() {}
