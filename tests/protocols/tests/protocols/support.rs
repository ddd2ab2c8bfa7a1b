//! An agent in this process, and what its answers consist of.

use std::net::SocketAddr;

use ppio::{AgentRuntimeApp, RuntimeConfig};
use ppio_test_support::call::{Answer, send_to};
use serde_json::Value;
use tokio::sync::oneshot;

/// A running agent. Dropping it shuts it down.
pub(crate) struct Agent {
    pub(crate) address: SocketAddr,
    _shutdown: oneshot::Sender<()>,
}

impl Agent {
    /// Serves the annotated functions of a module.
    pub(crate) async fn start_module(module: &str) -> Self {
        let app = AgentRuntimeApp::annotated_in(module).unwrap();
        Self::start(app).await
    }

    pub(crate) async fn start(app: AgentRuntimeApp) -> Self {
        let server = app.bind().await.unwrap();
        let address = server.local_addr();
        let (shutdown, dropped) = oneshot::channel::<()>();
        tokio::spawn(server.serve_until(async {
            let _ = dropped.await;
        }));
        Self {
            address,
            _shutdown: shutdown,
        }
    }

    /// Posts JSON.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send("POST", path, &[], &body.to_string()).await
    }

    /// Sends any request; a body is JSON unless the headers say otherwise.
    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let mut all = headers.to_vec();
        if !body.is_empty() && headers.iter().all(|(name, _)| *name != "content-type") {
            all.push(("content-type", "application/json"));
        }
        send_to(self.address, method, path, &all, body.to_owned()).await
    }
}

/// The configuration of agents in this process.
pub(crate) fn config() -> RuntimeConfig {
    RuntimeConfig::new().host("127.0.0.1").port(0)
}

/// The data of the events of a stream, with their names.
pub(crate) fn events(stream: &str) -> Vec<(String, String)> {
    assert!(
        stream.is_empty() || stream.ends_with("\n\n"),
        "the stream ends within an event: {stream}"
    );
    let events = stream.split("\n\n").filter(|event| !event.is_empty());
    events
        .filter_map(|event| {
            let (mut name, mut data) = (String::new(), None);
            for line in event.lines() {
                match line.split_once(": ") {
                    Some(("event", value)) => value.clone_into(&mut name),
                    Some(("data", value)) => {
                        assert!(data.is_none(), "an event has several data lines: {event}");
                        data = Some(value.to_owned());
                    }
                    _ => {}
                }
            }
            Some((name, data?))
        })
        .collect()
}
