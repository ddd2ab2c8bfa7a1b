use futures_util::stream;
use ppio::{AgentRuntimeApp, Value};

fn main() {
    let _ = AgentRuntimeApp::builder()
        .entrypoint(|request: Value| async move { stream::iter([request.to_string()]) });
}
