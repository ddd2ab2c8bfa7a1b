//! An OTLP receiver over HTTP.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use ppio_test_support::eventually_some;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::otlp::{self, LogRecord, Point, Span};

/// A receiver that listens on loopback until it is dropped.
pub(crate) struct Receiver {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

/// How a receiver answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answers {
    Success,
    Status(StatusCode),
    /// Reads requests and never answers.
    Never,
}

struct Shared {
    answers: Mutex<Answers>,
    received: Mutex<Received>,
}

#[derive(Debug, Default, Clone)]
pub(crate) struct Received {
    pub(crate) spans: Vec<Span>,
    pub(crate) logs: Vec<LogRecord>,
    /// The points of the last export.
    pub(crate) points: Vec<Point>,
    pub(crate) headers: Vec<HeaderMap>,
}

impl Receiver {
    pub(crate) async fn start() -> Self {
        Self::answering(Answers::Success).await
    }

    pub(crate) async fn answering(answers: Answers) -> Self {
        let shared = Arc::new(Shared {
            answers: Mutex::new(answers),
            received: Mutex::default(),
        });
        let router = Router::new()
            .route("/v1/traces", post(traces))
            .route("/v1/logs", post(logs))
            .route("/v1/metrics", post(metrics))
            .with_state(Arc::clone(&shared));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            address,
            shared,
            task,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn answer(&self, answers: Answers) {
        *self.shared.answers.lock().unwrap() = answers;
    }

    pub(crate) fn received(&self) -> Received {
        self.shared.received.lock().unwrap().clone()
    }

    /// Waits until `count` spans have arrived, and returns them. Panics if more have arrived.
    pub(crate) async fn spans(&self, count: usize) -> Vec<Span> {
        let spans = eventually_some(&format!("{count} spans"), async || {
            let spans = self.received().spans;
            (spans.len() >= count).then_some(spans)
        })
        .await;
        assert_eq!(spans.len(), count, "{spans:#?}");
        spans
    }

    /// Waits for the only span with a name, and returns it.
    pub(crate) async fn span(&self, name: &str) -> Span {
        let mut found = eventually_some(&format!("the span {name}"), async || {
            let spans = self.received().spans.into_iter();
            let found: Vec<Span> = spans.filter(|span| span.name == name).collect();
            (!found.is_empty()).then_some(found)
        })
        .await;
        assert_eq!(found.len(), 1, "{found:#?}");
        found.remove(0)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    async fn receive(&self, headers: HeaderMap, take: impl FnOnce(&mut Received)) -> StatusCode {
        assert_eq!(headers["content-type"], "application/x-protobuf");
        let answers = *self.answers.lock().unwrap();
        match answers {
            Answers::Success => {
                let mut received = self.received.lock().unwrap();
                take(&mut received);
                received.headers.push(headers);
                StatusCode::OK
            }
            Answers::Status(status) => status,
            Answers::Never => std::future::pending().await,
        }
    }
}

async fn traces(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let spans = otlp::spans(&body);
    shared.receive(headers, |it| it.spans.extend(spans)).await
}

async fn logs(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let logs = otlp::logs(&body);
    shared.receive(headers, |it| it.logs.extend(logs)).await
}

async fn metrics(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let points = otlp::points(&body);
    shared.receive(headers, |it| it.points = points).await
}
