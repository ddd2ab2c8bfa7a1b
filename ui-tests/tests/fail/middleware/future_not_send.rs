use std::rc::Rc;

use ppio::{Next, Request, Response};

#[ppio::middleware]
async fn middleware(request: Request, next: Next) -> Response {
    let count = Rc::new(1_u8);
    let response = next.run(request).await;
    println!("{count}");
    response
}

fn main() {}
