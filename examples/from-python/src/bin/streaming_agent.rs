//! An agent that streams, with settings and middleware.

use std::time::{Duration, Instant};

use ppio::tokio::time::sleep;
use ppio::{ByteSize, Next, Request, Response, RuntimeConfig, Stream, Value, stream};

#[ppio::entrypoint(config = RuntimeConfig::new()
    .port(8080)
    .timeout(Duration::from_secs(600))
    .max_request_size(ByteSize::new(2 << 20)) // 2 MiB
    .cors_origins(["https://my-frontend.com"]))]
async fn streaming_agent(request: Value) -> impl Stream<Item = String> {
    stream! {
        let query = request["query"].as_str().unwrap_or_default();
        let max_tokens = request["max_tokens"].as_u64().unwrap_or(1000);

        for i in 0..max_tokens / 10 {
            sleep(Duration::from_millis(100)).await; // as a model would
            yield format!("Token {i}: a part of the result for '{query}'...\n");
        }

        yield format!("The work on '{query}' is done.");
    }
}

#[ppio::middleware]
async fn logging(request: Request, next: Next) -> Response {
    let started = Instant::now();
    let response = next.run(request).await;
    tracing::info!("the request took {:?}", started.elapsed());
    response
}
