//! The port that stays: passes requests on to whichever agent process runs now, and keeps them waiting in between.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use axum::serve::ListenerExt as _;
use http_body_util::BodyExt as _;
use ppio_agent_protocol::InvocationResponse;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use super::allowed_callers::Callers;
use super::waiting_page;
use crate::error::{Failure, Fault};

/// How long a request waits for the agent to serve.
const PATIENCE: Duration = Duration::from_secs(5);
const RETRY_AFTER_SECONDS: &str = "2";
/// The type of the error while there is no agent.
const UNAVAILABLE: &str = "AgentUnavailable";

/// What there is behind the port.
#[derive(Debug, Clone)]
pub(super) enum Phase {
    /// Nothing yet; it is being built or started.
    Preparing,
    /// Nothing until the author changes something.
    Broken(Trouble),
    /// An agent.
    Serving(Route),
}

/// Why there is no agent.
#[derive(Debug, Clone)]
pub(super) struct Trouble {
    pub(super) what: String,
    /// What the compiler or the agent said.
    pub(super) output: String,
}

/// The way to an agent process. Whoever passes a request on holds one until the answer's end.
#[derive(Debug, Clone)]
pub(super) struct Route {
    port: u16,
    _in_use: mpsc::Sender<Infallible>,
}

/// Tells when nobody holds a [`Route`] any more.
#[derive(Debug)]
pub(super) struct Drained(mpsc::Receiver<Infallible>);

impl Route {
    pub(super) fn to(port: u16) -> (Self, Drained) {
        let (sender, receiver) = mpsc::channel(1);
        let route = Self {
            port,
            _in_use: sender,
        };
        (route, Drained(receiver))
    }
}

impl Drained {
    pub(super) async fn wait(&mut self) {
        // Nothing is ever sent; the channel closes with the last route.
        let _ = self.0.recv().await;
    }
}

/// Phases are counted, so that a page can tell that there is news.
#[derive(Debug, Clone)]
pub(super) struct Present {
    number: u64,
    phase: Phase,
}

#[derive(Debug)]
pub(super) struct Front {
    address: SocketAddr,
    present: watch::Sender<Present>,
    server: JoinHandle<io::Result<()>>,
}

impl Front {
    /// Listens on a loopback port; any free one if it is 0.
    pub(super) async fn listen(port: u16) -> Result<Self, Failure> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
            .await
            .map_err(|error| refused(port, &error))?;
        let address = listener
            .local_addr()
            .map_err(|error| refused(port, &error))?;
        let present = watch::Sender::new(Present {
            number: 0,
            phase: Phase::Preparing,
        });
        let router = axum::Router::new()
            .route(waiting_page::NEWS_PATH, axum::routing::get(news))
            .fallback(answer)
            .with_state(present.subscribe())
            .layer(axum::middleware::from_fn_with_state(
                Arc::new(Callers::from_env()),
                refuse_foreign,
            ));
        let listener = listener.tap_io(|stream| {
            // Small pieces of a stream must not wait for more.
            let _ = stream.set_nodelay(true);
        });
        let server = tokio::spawn(axum::serve(listener, router).into_future());
        Ok(Self {
            address,
            present,
            server,
        })
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    pub(super) fn port(&self) -> u16 {
        self.address.port()
    }

    pub(super) fn show(&self, phase: Phase) {
        self.present.send_modify(|present| {
            present.number += 1;
            present.phase = phase;
        });
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn refused(port: u16, error: &io::Error) -> Failure {
    let what = format!("cannot listen on port {port}");
    if error.kind() == io::ErrorKind::AddrInUse {
        let other = port.checked_add(1).unwrap_or(0);
        return Failure::new(Fault::Usage, what)
            .reason("another program listens there")
            .next(format!(
                "end it, or choose another port, as in `--port {other}`"
            ));
    }
    Failure::new(Fault::System, what)
        .because(error)
        .next("choose another port with `--port`")
}

/// Passes on what comes from this machine.
async fn refuse_foreign(
    State(callers): State<Arc<Callers>>,
    request: Request,
    next: Next,
) -> Response {
    match callers.check(&request) {
        Ok(()) => next.run(request).await,
        Err(refusal) => fault(refusal.status, refusal.error_type, &refusal.message),
    }
}

/// Answers when there is something else than what the page was made for, or after a while anyway.
async fn news(
    State(mut present): State<watch::Receiver<Present>>,
    axum::extract::RawQuery(known): axum::extract::RawQuery,
) -> StatusCode {
    let known = known.and_then(|known| known.parse().ok()).unwrap_or(0);
    let changed = present.wait_for(|present| present.number != known);
    let _ = tokio::time::timeout(waiting_page::NEWS_AT_LEAST_EVERY, changed).await;
    StatusCode::NO_CONTENT
}

async fn answer(State(mut present): State<watch::Receiver<Present>>, request: Request) -> Response {
    let patience = Instant::now() + PATIENCE;
    loop {
        let Present { number, phase } = present.borrow_and_update().clone();
        match phase {
            Phase::Serving(route) => {
                if let Ok(stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, route.port)).await {
                    return pass_on(stream, request, route).await;
                }
                // It has ended, which is found out elsewhere.
            }
            Phase::Broken(trouble) if wants_page(&request) => {
                return waiting_page::broken(number, &trouble);
            }
            Phase::Broken(trouble) => return unavailable(&trouble.what),
            Phase::Preparing if wants_page(&request) => return waiting_page::preparing(number),
            Phase::Preparing => {}
        }
        if !matches!(timeout_at(patience, present.changed()).await, Ok(Ok(()))) {
            return unavailable("the agent is being built or started");
        }
    }
}

async fn pass_on(stream: TcpStream, request: Request, route: Route) -> Response {
    match ppio_sandbox_local::forward(stream, request).await {
        Ok(response) => response.map(|body| {
            Body::new(body.map_frame(move |frame| {
                let _in_use = &route;
                frame
            }))
        }),
        Err(error) => fault(
            StatusCode::BAD_GATEWAY,
            UNAVAILABLE,
            &format!("the agent ended before it answered: {error}"),
        ),
    }
}

/// A browser that opens the agent's page.
fn wants_page(request: &Request) -> bool {
    let accept = request.headers().get(header::ACCEPT);
    request.method() == Method::GET
        && request.uri().path() == "/"
        && accept
            .and_then(|accept| accept.to_str().ok())
            .is_some_and(|accept| accept.contains("text/html"))
}

fn unavailable(what: &str) -> Response {
    let mut response = fault(StatusCode::SERVICE_UNAVAILABLE, UNAVAILABLE, what);
    response.headers_mut().insert(
        header::RETRY_AFTER,
        header::HeaderValue::from_static(RETRY_AFTER_SECONDS),
    );
    response
}

/// The form in which agents tell of errors.
fn fault(status: StatusCode, error_type: &str, what: &str) -> Response {
    let mut body = InvocationResponse::<()>::failure(what);
    body.error_type = Some(error_type.into());
    (status, axum::Json(body)).into_response()
}
