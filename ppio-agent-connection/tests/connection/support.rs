//! A connection over a real socket, and a client that reads and writes raw bytes.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, UPGRADE};
use http::{Request, Response, StatusCode};
use http_body::Body;
use http_body_util::{BodyExt as _, Full};
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use ppio_agent_connection::{ConnectionError, FramingError, Limits, RequestBody, serve};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How long a test waits: long enough for any machine.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(30);
/// The maximum number of bytes that a connection without hyper's buffers reads at once.
pub(crate) const SMALL: usize = 1024;

/// A stream that records the size of the buffer of the last read, and how many bytes were read.
struct Recorded {
    stream: TcpStream,
    size: Arc<AtomicUsize>,
    received: Arc<AtomicUsize>,
}

impl AsyncRead for Recorded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.size.store(buffer.remaining(), Ordering::Relaxed);
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        let received = buffer.filled().len() - before;
        self.received.fetch_add(received, Ordering::Relaxed);
        read
    }
}

impl AsyncWrite for Recorded {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// A client, and the connection's task in the server.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    served: JoinHandle<Result<(), ConnectionError>>,
    pub(crate) shutdown: watch::Sender<()>,
    pub(crate) size: Arc<AtomicUsize>,
    received: Arc<AtomicUsize>,
}

pub(crate) fn limits() -> Limits {
    Limits {
        keep_alive_timeout: TIMEOUT,
        header_timeout: TIMEOUT,
        write_timeout: None,
    }
}

/// Answers with the path and the length of the body, with an error, or with an echo of what follows
/// an upgrade.
async fn answer(request: Request<RequestBody>) -> Response<Full<Bytes>> {
    if request.headers().contains_key(UPGRADE) {
        tokio::spawn(echo(request));
        let response = Response::builder().status(StatusCode::SWITCHING_PROTOCOLS);
        return response
            .header(CONNECTION, "upgrade")
            .header(UPGRADE, "echo")
            .body(Full::default())
            .expect("a response");
    }
    if let Some(error) = request.extensions().get::<FramingError>() {
        let mut refusal = Response::new(Full::from(format!("{error};")));
        *refusal.status_mut() = StatusCode::BAD_REQUEST;
        return refusal;
    }
    let path = request.uri().path().to_owned();
    let body = request.into_body().collect().await.expect("a body");
    Response::new(Full::from(format!("{path} {};", body.to_bytes().len())))
}

async fn echo(request: Request<RequestBody>) {
    let upgraded = hyper::upgrade::on(request).await.expect("an upgrade");
    let (mut reading, mut writing) = tokio::io::split(TokioIo::new(upgraded));
    let _ = tokio::io::copy(&mut reading, &mut writing).await;
    let _ = writing.shutdown().await;
}

impl Client {
    pub(crate) async fn new(limits: Limits) -> Self {
        Self::of(limits, answer).await
    }

    /// Connects to a server with this handler.
    pub(crate) async fn of<H, F, B>(limits: Limits, handler: H) -> Self
    where
        H: Fn(Request<RequestBody>) -> F + Send + Sync + 'static,
        F: Future<Output = Response<B>> + Send + 'static,
        B: Body<Data = Bytes> + Unpin + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (shutdown, shutdowns) = watch::channel(());
        let (size, received) = (Arc::default(), Arc::default());
        let recorded = (Arc::clone(&size), Arc::clone(&received));
        let served = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.expect("a connection");
            let (size, received) = recorded;
            let stream = Recorded {
                stream,
                size,
                received,
            };
            serve(stream, &http1::Builder::new(), &limits, shutdowns, handler).await
        });
        let stream = TcpStream::connect(address).await.expect("a connection");
        stream.set_nodelay(true).expect("a socket");
        Self {
            stream,
            served,
            shutdown,
            size,
            received,
        }
    }

    /// Creates a connection that is idle after one request.
    pub(crate) async fn idle(limits: Limits) -> Self {
        let mut client = Self::new(limits).await;
        client
            .write("POST /0 HTTP/1.1\r\ncontent-length: 2\r\n\r\nab")
            .await;
        client.expect(&["/0 2;"]).await;
        client.without_buffers().await;
        client
    }

    pub(crate) async fn write(&mut self, text: &str) {
        let written = self.stream.write_all(text.as_bytes()).await;
        written.expect("a write");
    }

    /// Reads until the responses have these bodies.
    pub(crate) async fn expect(&mut self, bodies: &[&str]) {
        let mut text = String::new();
        for body in bodies {
            while !text.contains(body) {
                let mut buffer = [0; 1024];
                let read = tokio::time::timeout(TIMEOUT, self.stream.read(&mut buffer)).await;
                let length = read.expect("a response in time").expect("a response");
                assert_ne!(length, 0, "no `{body}` in `{text}`");
                text.push_str(std::str::from_utf8(&buffer[..length]).expect("text"));
            }
        }
    }

    /// Waits until the server has read `length` bytes.
    pub(crate) async fn received(&self, length: usize) {
        let wait = async {
            while self.received.load(Ordering::Relaxed) < length {
                tokio::task::yield_now().await;
            }
        };
        let waited = tokio::time::timeout(TIMEOUT, wait).await;
        waited.expect("a server that reads");
    }

    /// Reads to the end of the connection.
    pub(crate) async fn rest(&mut self) -> String {
        let mut rest = String::new();
        let read = self.stream.read_to_string(&mut rest);
        let read = tokio::time::timeout(TIMEOUT, read).await;
        read.expect("an end in time").expect("text");
        rest
    }

    /// Waits until the connection reads into a small buffer.
    pub(crate) async fn without_buffers(&self) {
        let wait = async {
            while self.size.load(Ordering::Relaxed) > SMALL {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let waited = tokio::time::timeout(TIMEOUT, wait).await;
        waited.expect("an idle connection without buffers");
    }

    /// Waits until the server has ended the connection.
    pub(crate) async fn ended(self) -> Result<(), ConnectionError> {
        let served = tokio::time::timeout(TIMEOUT, self.served).await;
        served.expect("an end in time").expect("no panic")
    }

    /// Waits until the server has ended the connection, and checks that it sent nothing more.
    pub(crate) async fn end(mut self) -> Result<(), ConnectionError> {
        let served = tokio::time::timeout(TIMEOUT, &mut self.served).await;
        let end = served.expect("an end in time").expect("no panic");
        assert_eq!(self.rest().await, "");
        end
    }
}
