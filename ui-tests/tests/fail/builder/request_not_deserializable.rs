use ppio::AgentRuntimeApp;

struct Question(String);

fn main() {
    let _ = AgentRuntimeApp::builder().entrypoint(async |question: Question| question.0);
}
