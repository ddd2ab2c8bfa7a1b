//! Idle connections have no buffers, and go on as any other.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, UPGRADE};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use ppio_agent_connection::{AmbiguousLength, ConnectionError, Limits, RequestBody, serve};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Long enough for any machine.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The limit that a test waits for.
const SHORT: Duration = Duration::from_millis(300);
/// The most that a connection without hyper's buffers reads at once.
const SMALL: usize = 1024;

/// A stream that records the size of the buffer of the last read.
struct Recorded {
    stream: TcpStream,
    size: Arc<AtomicUsize>,
}

impl AsyncRead for Recorded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.size.store(buffer.remaining(), Ordering::Relaxed);
        Pin::new(&mut self.stream).poll_read(cx, buffer)
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
struct Client {
    stream: TcpStream,
    served: JoinHandle<Result<(), ConnectionError>>,
    shutdown: watch::Sender<()>,
    size: Arc<AtomicUsize>,
}

fn limits() -> Limits {
    Limits {
        keep_alive_timeout: TIMEOUT,
        header_timeout: TIMEOUT,
        write_timeout: None,
    }
}

/// Answers with the path, `ambiguous`, or an echo of what follows an upgrade.
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
    let is_ambiguous = request.extensions().get::<AmbiguousLength>().is_some();
    let path = request.uri().path().to_owned();
    let body = request.into_body().collect().await.expect("a body");
    let text = if is_ambiguous {
        format!("{path} ambiguous;")
    } else {
        format!("{path} {};", body.to_bytes().len())
    };
    Response::new(Full::from(text))
}

async fn echo(request: Request<RequestBody>) {
    let upgraded = hyper::upgrade::on(request).await.expect("an upgrade");
    let (mut reading, mut writing) = tokio::io::split(TokioIo::new(upgraded));
    let _ = tokio::io::copy(&mut reading, &mut writing).await;
    let _ = writing.shutdown().await;
}

impl Client {
    async fn new(limits: Limits) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (shutdown, shutdowns) = watch::channel(());
        let size = Arc::new(AtomicUsize::new(0));
        let recorded = Arc::clone(&size);
        let served = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.expect("a connection");
            let stream = Recorded {
                stream,
                size: recorded,
            };
            serve(stream, &http1::Builder::new(), &limits, shutdowns, answer).await
        });
        Self {
            stream: TcpStream::connect(address).await.expect("a connection"),
            served,
            shutdown,
            size,
        }
    }

    /// A connection that is idle after one request.
    async fn idle(limits: Limits) -> Self {
        let mut client = Self::new(limits).await;
        client
            .write("POST /0 HTTP/1.1\r\ncontent-length: 2\r\n\r\nab")
            .await;
        client.expect(&["/0 2;"]).await;
        client.without_buffers().await;
        client
    }

    async fn write(&mut self, text: &str) {
        let written = self.stream.write_all(text.as_bytes()).await;
        written.expect("a write");
    }

    /// Reads until the responses have these bodies.
    async fn expect(&mut self, bodies: &[&str]) {
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

    /// Waits until the connection reads into a small buffer.
    async fn without_buffers(&self) {
        let wait = async {
            while self.size.load(Ordering::Relaxed) > SMALL {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let waited = tokio::time::timeout(TIMEOUT, wait).await;
        waited.expect("an idle connection without buffers");
    }

    /// Waits for the end of the connection.
    async fn end(mut self) -> Result<(), ConnectionError> {
        let served = tokio::time::timeout(TIMEOUT, self.served).await;
        let end = served.expect("an end in time").expect("no panic");
        let mut rest = Vec::new();
        let read = self.stream.read_to_end(&mut rest).await;
        assert_eq!(read.expect("the end of the connection"), 0);
        end
    }
}

#[tokio::test]
async fn an_idle_connection_has_no_buffers_and_goes_on() {
    let head = "GET /1 HTTP/1.1\r\n\r\n";
    let body = "POST /2 HTTP/1.1\r\ncontent-length: 3\r\n\r\nabc";
    let chunked = "POST /3 HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n";
    let both = "POST /4 HTTP/1.1\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n\
                0\r\n\r\n";
    let large = format!(
        "POST /5 HTTP/1.1\r\ncontent-length: 9000\r\n\r\n{:9000}",
        ""
    );
    let (large, last) = (large.as_str(), "HEAD /6 HTTP/1.1\r\n\r\n");
    // Parts of which each is written when the responses to the part before it are here.
    let cases: &[&[(&str, &[&str])]] = &[
        &[(head, &["/1 0;"]), (body, &["/2 3;"])],
        &[(
            &[head, body, chunked].concat(),
            &["/1 0;", "/2 3;", "/3 1;"],
        )],
        &[(chunked, &["/3 1;"]), (head, &["/1 0;"])],
        &[(both, &["/4 ambiguous;"])],
        &[(large, &["/5 9000;"]), (head, &["/1 0;"])],
        &[(last, &["content-length"]), (head, &["/1 0;"])],
        // Line breaks after a body, as old clients send them.
        &[(&format!("{body}\r\n"), &["/2 3;"]), (head, &["/1 0;"])],
        // A part of the next head comes with a request.
        &[
            (&format!("{body}GET /1 HT"), &["/2 3;"]),
            (&head[9..], &["/1 0;"]),
        ],
        &[(&format!("{body}G"), &["/2 3;"]), (&head[1..], &["/1 0;"])],
    ];
    for case in cases {
        // The connection with its first request is without buffers right after it.
        for mut client in [Client::new(limits()).await, Client::idle(limits()).await] {
            for (text, bodies) in *case {
                client.write(text).await;
                client.expect(bodies).await;
            }
        }
    }

    let mut client = Client::new(limits()).await;
    client.write(&format!("{head}{}", &both[..40])).await;
    client.expect(&["/1 0;"]).await;
    client.write(&both[40..]).await;
    client.expect(&["/4 ambiguous;"]).await;
}

#[tokio::test]
async fn frequent_requests_share_buffers_until_the_connection_is_idle() {
    let mut client = Client::idle(limits()).await;
    let frequent = async {
        // On a slow machine the first ones may not be frequent.
        while client.size.load(Ordering::Relaxed) <= SMALL {
            client.write("GET /1 HTTP/1.1\r\n\r\n").await;
            client.expect(&["/1 0;"]).await;
        }
    };
    let waited = tokio::time::timeout(TIMEOUT, frequent).await;
    waited.expect("a connection with buffers");
    client.without_buffers().await;
    client.write("GET /2 HTTP/1.1\r\n\r\n").await;
    client.expect(&["/2 0;"]).await;
}

#[tokio::test]
async fn an_idle_connection_can_be_upgraded() {
    let mut client = Client::idle(limits()).await;
    client
        .write("GET / HTTP/1.1\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\nfirst")
        .await;
    client.expect(&["101", "first"]).await;
    client.write("second").await;
    client.expect(&["second"]).await;
    client.stream.shutdown().await.expect("a half-close");
    client.end().await.expect("no error");
}

#[tokio::test]
async fn an_idle_connection_ends() {
    // By its timeout, by a shutdown, by the client.
    let short = Limits {
        keep_alive_timeout: SHORT,
        ..limits()
    };
    let client = Client::idle(short).await;
    client.end().await.expect("no error");

    let client = Client::idle(limits()).await;
    client.shutdown.send_replace(());
    client.end().await.expect("no error");

    let mut client = Client::idle(limits()).await;
    client.stream.shutdown().await.expect("a half-close");
    client.end().await.expect("no error");
}

#[tokio::test]
async fn half_a_head_after_idling_is_cut_at_the_header_timeout() {
    let short = || Limits {
        header_timeout: SHORT,
        ..limits()
    };
    let mut client = Client::idle(short()).await;
    client.write("GET /1 HT").await;
    let end = client.end().await;
    assert!(
        matches!(end, Err(ConnectionError::HeaderTimeout(_))),
        "{end:?}"
    );

    // Also if it came with the request before.
    let mut client = Client::new(short()).await;
    client.write("GET /0 HTTP/1.1\r\n\r\nGET /1 HT").await;
    client.expect(&["/0 0;"]).await;
    let end = client.end().await;
    assert!(
        matches!(end, Err(ConnectionError::HeaderTimeout(_))),
        "{end:?}"
    );
}
