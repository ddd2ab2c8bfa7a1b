use futures_util::stream;
use ppio::{AgentRuntimeApp, Sse, Value};

fn main() {
    let _ = AgentRuntimeApp::builder()
        .entrypoint(|request: Value| async move { Sse(stream::iter([request.to_string()])) });
}
