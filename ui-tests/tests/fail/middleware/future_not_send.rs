use std::rc::Rc;

use ppio::{Next, Request, Response};

#[ppio::middleware]
async fn middleware(request: Request, next: Next) -> Response {
    let path = Rc::new(request.uri().path().to_owned());
    let response = next.run(request).await;
    println!("{path}");
    response
}

fn main() {}
