use ppio::{AgentRuntimeApp, Value};

#[derive(serde::Serialize)]
struct Answer {
    text: String,
}

fn main() {
    let _ = AgentRuntimeApp::builder().entrypoint(async |request: Value| Answer {
        text: request.to_string(),
    });
}
