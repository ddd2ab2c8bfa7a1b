use ppio::{AgentRuntimeApp, RequestContext, Value};

#[derive(serde::Serialize)]
struct Answer {
    text: String,
}

fn main() {
    let _ = AgentRuntimeApp::builder().entrypoint(|request: Value, _: RequestContext| {
        let text = request.to_string();
        Ok::<_, ppio::Error>(Answer { text })
    });
}
