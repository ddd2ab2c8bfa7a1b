//! An agent that is slow because it reads a document with a client that blocks its thread.

use std::time::Duration;

use ppio::InvocationRequest;

#[ppio::entrypoint]
async fn summarize(request: InvocationRequest) -> String {
    let name = request.prompt.unwrap_or_default();
    let document = read(&name);
    format!("{name}: {} words", document.split(' ').count())
}

/// Blocks, as a synchronous HTTP client does.
fn read(name: &str) -> String {
    let _span = tracing::info_span!("read", document = name).entered();
    std::thread::sleep(Duration::from_millis(1500));
    "the document".to_owned()
}
