use ppio::{Request, Response};

#[ppio::middleware]
async fn middleware(request: Request) -> Response {
    unimplemented!("{request:?}")
}

fn main() {}
