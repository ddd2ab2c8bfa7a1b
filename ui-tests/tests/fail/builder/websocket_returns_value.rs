use ppio::{AgentRuntimeApp, WebSocket};

fn main() {
    let _ = AgentRuntimeApp::builder().websocket(async |_: WebSocket| 1);
}
