//! A platform with scripted replies: arbitrary bytes, slow, cut off, or missing.
//!
//! One port serves the control plane and `{port}-{id}.localhost` for every sandbox, over raw
//! sockets, so that a test controls every byte. Requests without a scripted reply are answered as
//! the real platform answers them.

mod behaviour;
mod catalogue;
mod connection;
mod daemon;
mod reply;
mod request;

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::wait;

pub use behaviour::ScriptedSandbox;
pub use reply::Reply;
pub use request::Recorded;

/// A platform on its own port, which is closed when the platform is dropped.
pub struct ScriptedPlatform {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

/// The state that the connections and the test share.
#[derive(Default)]
struct Shared {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The replies to the next requests, by route.
    scripts: HashMap<String, VecDeque<Reply>>,
    /// The replies to all requests without a reply in `scripts`, by route.
    standing: HashMap<String, Reply>,
    requests: Vec<Recorded>,
    sandboxes: Vec<ScriptedSandbox>,
    templates: Vec<Value>,
    /// The number of the next connections to reset before anything is read from them.
    resets: usize,
    connections: usize,
    open_connections: usize,
    /// The number of bytes of endless replies that were written.
    repeated: u64,
    domain: String,
    /// The number of bytes that are written at a time.
    drip: Option<usize>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .expect("no test panics while it holds the lock")
    }
}

impl Drop for ScriptedPlatform {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl ScriptedPlatform {
    /// Starts a platform with one template, `tmpl_1`, whose agent needs no start command and
    /// echoes.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared::default());
        {
            let mut state = shared.lock();
            state.domain = format!("localhost:{}", address.port());
            state
                .templates
                .push(behaviour::template("tmpl_1", &behaviour::agent("echo")));
        }
        let accepting = tokio::spawn(connection::accept(listener, Arc::clone(&shared)));
        Self {
            address,
            shared,
            accepting,
        }
    }

    /// Returns the control plane's URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the domain of the sandboxes.
    pub fn domain(&self) -> String {
        format!("localhost:{}", self.address.port())
    }

    /// Sets the reply to the next request of this route, after the replies scripted before. Routes
    /// are `METHOD /path` for the control plane, with `{id}` for a sandbox's id, and the same with
    /// the prefix `agent ` or `envd ` for traffic into a sandbox.
    pub fn script(&self, route: &str, reply: Reply) {
        let mut state = self.shared.lock();
        state
            .scripts
            .entry(route.to_owned())
            .or_default()
            .push_back(reply);
    }

    /// Sets the reply to every request of this route that has no scripted reply.
    pub fn always(&self, route: &str, reply: Reply) {
        self.shared.lock().standing.insert(route.to_owned(), reply);
    }

    /// Writes all replies in pieces of `piece` bytes, and yields to other tasks between them.
    pub fn drip(&self, piece: usize) {
        self.shared.lock().drip = Some(piece);
    }

    /// Resets the next connections without reading a byte from them.
    pub fn reset_connections(&self, count: usize) {
        self.shared.lock().resets = count;
    }

    /// Returns the requests of this route so far.
    pub fn requests(&self, route: &str) -> Vec<Recorded> {
        let state = self.shared.lock();
        let matching = state
            .requests
            .iter()
            .filter(|request| request.route == route);
        matching.cloned().collect()
    }

    /// Returns the number of requests of this route that were read.
    pub fn count(&self, route: &str) -> usize {
        self.requests(route).len()
    }

    /// Returns the number of accepted connections, including those that were reset.
    pub fn connections(&self) -> usize {
        self.shared.lock().connections
    }

    /// Returns the number of connections that are open now.
    pub fn open_connections(&self) -> usize {
        self.shared.lock().open_connections
    }

    /// Returns the number of bytes of endless replies that could be written.
    pub fn repeated(&self) -> u64 {
        self.shared.lock().repeated
    }

    /// Returns the running and paused sandboxes.
    pub fn live(&self) -> Vec<ScriptedSandbox> {
        self.shared.lock().sandboxes.clone()
    }

    /// Returns the sandbox with this id, if it exists.
    pub fn sandbox(&self, id: &str) -> Option<ScriptedSandbox> {
        self.live().into_iter().find(|sandbox| sandbox.id == id)
    }

    /// Removes a sandbox without a request, as its timeout would.
    pub fn expire(&self, id: &str) {
        self.shared
            .lock()
            .sandboxes
            .retain(|sandbox| sandbox.id != id);
    }

    /// Adds a sandbox that is already running.
    pub fn add_sandbox(&self, id: &str, template_id: &str) {
        let sandbox = ScriptedSandbox::running(id, template_id);
        self.shared.lock().sandboxes.push(sandbox);
    }

    /// Adds a template whose `agent.yaml` is `document`.
    pub fn add_template(&self, id: &str, document: &Value) {
        self.shared
            .lock()
            .templates
            .push(behaviour::template(id, document));
    }

    /// Adds a template in the form in which the control plane lists it.
    pub fn add_raw_template(&self, template: Value) {
        self.shared.lock().templates.push(template);
    }

    /// Waits until `condition` holds.
    ///
    /// # Panics
    ///
    /// If the condition does not hold within [`DEADLINE`](crate::DEADLINE).
    pub async fn eventually(&self, what: &str, condition: impl Fn(&Self) -> bool) {
        wait::eventually(what, || condition(self)).await;
    }

    /// Waits until no sandbox exists.
    ///
    /// # Panics
    ///
    /// If a sandbox still exists after [`DEADLINE`](crate::DEADLINE).
    pub async fn eventually_empty(&self) {
        self.eventually("no sandbox is left", |platform| platform.live().is_empty())
            .await;
    }
}

/// Returns the `agent.yaml`, as JSON, of an agent that needs no start command.
pub fn agent_document(name: &str) -> Value {
    behaviour::agent(name)
}
