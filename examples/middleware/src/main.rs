//! Middleware: identifies the caller, and measures how long the whole answer took.

use std::collections::HashMap;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use futures_util::{Stream, StreamExt as _, stream};
use ppio::{Error, Next, Request, RequestContext, Response, Value};

/// The users by token, read from names and tokens such as `AGENT_USERS=ada:sesame,alan:enigma`.
static USERS: LazyLock<HashMap<String, User>> = LazyLock::new(|| {
    let users = std::env::var("AGENT_USERS").unwrap_or_default();
    let pairs = users.split(',').filter_map(|user| user.split_once(':'));
    pairs
        .map(|(name, token)| (token.to_owned(), User(name.to_owned())))
        .collect()
});

#[derive(Clone)]
struct User(String);

/// Measures every answer, including rejections by `auth`: the lowest order is the outermost.
#[ppio::middleware(order = -10)]
async fn timing(request: Request, next: Next) -> Response {
    let started = Instant::now();
    let response = next.run(request).await;
    let status = response.status().as_u16();
    // `next.run` returns when a stream begins; the body ends when the stream ends.
    response.map(|body| {
        body.on_end(move |end| {
            tracing::info!(status, ?end, elapsed = ?started.elapsed(), "answered");
        })
    })
}

/// Identifies the caller by its token. Health checks need none: `#[ppio::middleware]` wraps only
/// `/invocations`, while `#[ppio::middleware(all)]` would wrap every route.
#[ppio::middleware]
async fn auth(mut request: Request, next: Next) -> Result<Response, Error> {
    let header = request.headers().get("authorization");
    let token = header.and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let user = token.and_then(|token| USERS.get(token));
    let user = user.ok_or_else(|| Error::unauthorized("send `authorization: Bearer <token>`"))?;
    request.extensions_mut().insert(user.clone());
    Ok(next.run(request).await)
}

#[ppio::entrypoint]
async fn agent(_: Value, context: RequestContext) -> impl Stream<Item = String> {
    let name = match context.extension() {
        Some(User(name)) => name.clone(),
        None => "anonymous".to_owned(),
    };
    let words = ["Good".to_owned(), "day,".to_owned(), name];
    stream::iter(words).then(|word| async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        word
    })
}
