use axum::Router;
use ppio::{AgentRuntimeApp, Value};

fn main() {
    let _ = AgentRuntimeApp::builder()
        .entrypoint(|request: Value| async move { request })
        .routes_with_state(|_name: String| Router::new())
        .build();
}
