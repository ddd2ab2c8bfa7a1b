//! Serves one request of an agent over a socket.

use std::net::Ipv4Addr;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use ppio::AgentRuntimeApp;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::response::HttpResponse;

/// The time limit for a response, after which the test fails.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(20);

/// Sends `POST /invocations` to the agent in a module.
pub(crate) async fn invoke(module: &str, body: &str) -> HttpResponse {
    invoke_with(module, body, "").await
}

/// Sends `POST /invocations` with header lines, each of which ends with CR LF.
pub(crate) async fn invoke_with(module: &str, body: &str, headers: &str) -> HttpResponse {
    let length = body.len();
    let head = format!("POST /invocations HTTP/1.0\r\ncontent-length: {length}\r\n{headers}\r\n");
    send(app(module), head + body).await
}

/// Sends a GET request to the agent in a module.
pub(crate) async fn get(module: &str, path: &str) -> HttpResponse {
    send(app(module), format!("GET {path} HTTP/1.0\r\n\r\n")).await
}

fn app(module: &str) -> AgentRuntimeApp {
    AgentRuntimeApp::annotated_in(module)
        .unwrap_or_else(|error| panic!("no agent in {module}: {error}"))
}

/// Serves one connection and sends one request over it. An HTTP/1.0 response ends when the
/// connection ends.
async fn send(app: AgentRuntimeApp, request: String) -> HttpResponse {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .expect("loopback has a free port");
    let address = listener.local_addr().expect("a bound address");
    let service = app.start().await.expect("the startup functions succeed");
    let serve = async {
        let (stream, _) = listener.accept().await?;
        let served = http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service)
            .await;
        served.map_err(std::io::Error::other)
    };
    let exchange = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(request.as_bytes()).await?;
        let mut response = String::new();
        stream.read_to_string(&mut response).await?;
        Ok(response)
    };
    let both = async { tokio::try_join!(serve, exchange) };
    let ((), response) = tokio::time::timeout(RESPONSE_TIMEOUT, both)
        .await
        .unwrap_or_else(|_| panic!("no response within {RESPONSE_TIMEOUT:?}"))
        .expect("a response");
    HttpResponse::parse(&response)
}
