use ppio::{AgentRuntimeApp, Value};

fn main() {
    let _ = AgentRuntimeApp::builder()
        .entrypoint(|request: Value| async move { request })
        .routes("/version")
        .build();
}
