//! An agent that refuses callers without credentials, and returns the request of all others.

use ppio::{Error, Next, Request, Response, Value};

#[ppio::middleware]
async fn auth(request: Request, next: Next) -> Result<Response, Error> {
    if request.headers().contains_key("authorization") {
        return Ok(next.run(request).await);
    }
    Err(Error::unauthorized("send `authorization`"))
}

#[ppio::entrypoint]
async fn agent(request: Value) -> Value {
    request
}
