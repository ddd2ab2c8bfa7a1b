//! An agent in this process, and the events of its answers.

use std::cell::Cell;
use std::net::SocketAddr;

use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use ppio::{AgentRuntimeApp, Platform, RuntimeConfig};
use ppio_test_support::call::{Answer, send_to};
use serde_json::Value;
use tokio::net::TcpListener;
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

    /// Serves the annotated functions of a module for a platform. The agent is mounted in another
    /// server, because the platform would otherwise determine the port.
    pub(crate) async fn start_module_on(platform: Platform, module: &str) -> Self {
        PLATFORM.set(Some(platform));
        let app = AgentRuntimeApp::annotated_in(module);
        PLATFORM.set(None);
        let service = app.unwrap().start().await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (shutdown, mut dropped) = oneshot::channel::<()>();
        tokio::spawn(async move {
            loop {
                let (stream, _) = tokio::select! {
                    accepted = listener.accept() => accepted.unwrap(),
                    _ = &mut dropped => return,
                };
                let http = http1::Builder::new();
                let connection = http.serve_connection(TokioIo::new(stream), service.clone());
                tokio::spawn(connection.with_upgrades());
            }
        });
        Self {
            address,
            _shutdown: shutdown,
        }
    }

    /// Posts JSON.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send("POST", path, &[], &body.to_string()).await
    }

    /// Sends any request; a body is JSON unless the headers contain another content type.
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

thread_local! {
    static PLATFORM: Cell<Option<Platform>> = const { Cell::new(None) };
}

/// Returns the configuration of the agents in this process.
pub(crate) fn config() -> RuntimeConfig {
    let config = RuntimeConfig::new().host("127.0.0.1").port(0);
    match PLATFORM.get() {
        Some(platform) => config.platform(platform),
        None => config,
    }
}

/// Returns the name and the data of each event of a stream.
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
