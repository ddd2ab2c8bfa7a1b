//! An agent whose items and end are controlled by a test, and readers of its runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures_util::{Stream, stream};
use ppio::{
    AgentRuntimeApp, Body, Error, Reply, RequestContext, Response, RuntimeConfig, Value, json,
};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;

use crate::support::{Answer, TestServer, invocation_with, with_timeout};

/// A step of a running invocation, sent by a test.
pub(super) enum Step {
    Item(Value),
    Fail,
    End,
}

/// One invocation that has started.
pub(super) struct Started {
    pub(super) request: Value,
    pub(super) steps: UnboundedSender<Step>,
    /// Resolves when the invocation is dropped.
    pub(super) dropped: oneshot::Receiver<()>,
}

impl Started {
    pub(super) fn item(&self, item: impl Into<Value>) {
        let sent = self.steps.send(Step::Item(item.into()));
        assert!(sent.is_ok(), "the invocation runs");
    }

    pub(super) fn end(&self) {
        assert!(self.steps.send(Step::End).is_ok(), "the invocation runs");
    }

    pub(super) async fn wait_dropped(self) {
        let Self { steps, dropped, .. } = self;
        // The sender is kept, so that the invocation does not end by itself.
        with_timeout("the end of the invocation", dropped)
            .await
            .ok();
        drop(steps);
    }
}

/// An agent whose invocations take the steps that the test sends: `{"stream": true}` streams the
/// items, any other request answers with the first item as its value.
pub(super) struct Scripted {
    pub(super) server: TestServer,
    started: tokio::sync::Mutex<UnboundedReceiver<Started>>,
    pub(super) calls: Arc<AtomicUsize>,
}

impl Scripted {
    pub(super) async fn start(config: RuntimeConfig) -> Self {
        let (sender, started) = unbounded_channel();
        let calls = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&calls);
        let app = AgentRuntimeApp::builder()
            .config(config)
            .entrypoint(move |request: Value, context: RequestContext| {
                counter.fetch_add(1, Ordering::Relaxed);
                let (steps, received) = unbounded_channel();
                let (dropping, dropped) = oneshot::channel();
                let started = Started {
                    request,
                    steps,
                    dropped,
                };
                sender.send(started).ok();
                act(received, dropping, context.stream_requested())
            })
            .build();
        Self {
            server: TestServer::start(app).await,
            started: started.into(),
            calls,
        }
    }

    /// Waits for the next invocation to start.
    pub(super) async fn started(&self) -> Started {
        let mut started = self.started.lock().await;
        with_timeout("the start of an invocation", started.recv())
            .await
            .expect("an agent")
    }

    pub(super) fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }
}

async fn act(
    mut steps: UnboundedReceiver<Step>,
    dropping: oneshot::Sender<()>,
    streams: bool,
) -> Result<Reply<Value, impl Stream<Item = Result<Value, Error>> + Send>, Error> {
    let failure = || Error::internal("a scripted failure").with_type("Scripted");
    if !streams {
        let value = match steps.recv().await {
            Some(Step::Item(value)) => Ok(Reply::Value(value)),
            Some(Step::End) => Ok(Reply::Value(Value::Null)),
            Some(Step::Fail) | None => Err(failure()),
        };
        drop(dropping);
        return value;
    }
    let items = stream::unfold((steps, dropping), move |(mut steps, dropping)| async move {
        let item = match steps.recv().await {
            Some(Step::Item(item)) => Ok(item),
            Some(Step::Fail) => Err(failure()),
            Some(Step::End) | None => return None,
        };
        Some((item, (steps, dropping)))
    });
    Ok(Reply::Stream(items))
}

/// A request without body.
pub(super) fn request(method: &str, path: &str, headers: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\n{headers}\r\n")
}

/// A `POST /invocations` that streams.
pub(super) fn streaming(headers: &str) -> String {
    invocation_with(headers, r#"{"stream": true}"#)
}

impl Scripted {
    /// The state of a run.
    pub(super) async fn state(&self, id: &str) -> Value {
        let answer = self
            .server
            .send(request("GET", &format!("/invocations/{id}"), ""))
            .await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }

    /// Waits until a run has a status, and returns the state of the run.
    pub(super) async fn has_status(&self, id: &str, status: &str) -> Value {
        with_timeout(status, async {
            loop {
                let state = self.state(id).await;
                if state["status"] == status {
                    return state;
                }
                tokio::task::yield_now().await;
            }
        })
        .await
    }

    /// Waits until a run has this many items.
    pub(super) async fn has_items(&self, id: &str, items: u64) {
        with_timeout("items", async {
            while self.state(id).await["items"] != items {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }

    /// Reads the stream of a run from the event after `after` to its end.
    pub(super) async fn events(&self, id: &str, after: u64) -> Vec<Event> {
        let path = format!("/invocations/{id}/events");
        let header = format!("last-event-id: {after}\r\n");
        let answer = self.server.send(request("GET", &path, &header)).await;
        events(&answer)
    }

    /// Starts a detached run, and returns its id.
    pub(super) async fn detach(&self, body: &str) -> String {
        let request = invocation_with("prefer: respond-async\r\n", body);
        let answer = self.server.send(request).await;
        assert_eq!(answer.status, 202, "{}", answer.text());
        let id = answer.header("x-request-id").expect("an id").to_owned();
        assert_eq!(answer.json()["id"], id.as_str());
        id
    }
}

/// One event of a stream with ids.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Event {
    Item(u64, Value),
    End(Value),
}

/// The events of a whole answer with ids.
pub(super) fn events(answer: &Answer) -> Vec<Event> {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let content_type = answer.header("content-type");
    assert_eq!(content_type, Some("text/event-stream; charset=utf-8"));
    assert_eq!(answer.header("ppio-stream-ids"), Some("true"));
    parse(answer.text())
}

/// Parses the complete events of a text; an incomplete event at the end is left out.
pub(super) fn parse(text: &str) -> Vec<Event> {
    let whole = text.rfind("\n\n").map_or("", |end| &text[..end]);
    whole
        .split("\n\n")
        .filter(|event| !event.is_empty() && !event.starts_with(':'))
        .map(|event| {
            let (first, data) = event.split_once('\n').expect("two lines");
            let data = data.strip_prefix("data: ").expect("a data line");
            let data = serde_json::from_str(data).expect("JSON data");
            if let Some(id) = first.strip_prefix("id: ") {
                Event::Item(id.parse().expect("a number"), data)
            } else {
                assert_eq!(first, "event: end");
                Event::End(data)
            }
        })
        .collect()
}

/// Items with the ids from `first` on.
pub(super) fn items(first: u64, items: impl IntoIterator<Item = Value>) -> Vec<Event> {
    (first..)
        .zip(items)
        .map(|(id, item)| Event::Item(id, item))
        .collect()
}

pub(super) fn end(status: &str, items: u64) -> Event {
    Event::End(json!({ "status": status, "items": items }))
}

/// Returns an entrypoint with a user response, whose body is whole, in parts or cut, as the request
/// selects.
pub(super) fn responding() -> impl Fn(Value) -> std::future::Ready<Response> + Send + Sync + 'static
{
    |request| {
        let parts: Vec<Result<Bytes, Error>> = match request.as_str() {
            Some("parts") => vec![Ok("one".into()), Ok("\n\ntwo".into())],
            Some("cut") => vec![Ok("one".into()), Err(Error::internal("cut"))],
            _ => vec![Ok("whole".into())],
        };
        let frames = parts
            .into_iter()
            .map(|part| part.map(http_body::Frame::data));
        let body = Body::new(http_body_util::StreamBody::new(stream::iter(frames)));
        let mut response = Response::new(body);
        *response.status_mut() = ppio::http::StatusCode::CREATED;
        let kind = ppio::http::HeaderValue::from_static("text/x-own");
        response.headers_mut().insert("content-type", kind);
        std::future::ready(response)
    }
}
