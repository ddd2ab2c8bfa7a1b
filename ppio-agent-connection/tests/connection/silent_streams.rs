//! A response whose next data is not ready continues without hyper and its buffers.

use std::future::ready;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame};
use ppio_agent_connection::{ConnectionError, Limits, RequestBody};
use tokio::sync::mpsc;

use crate::support::{Client, TIMEOUT, limits};

type Item = io::Result<Frame<Bytes>>;

/// A body of the items that a test sends, which counts the addresses at which it is polled.
struct Items {
    receiver: mpsc::UnboundedReceiver<Item>,
    address: usize,
    addresses: Arc<AtomicUsize>,
}

impl Body for Items {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Item>> {
        // hyper does not move a body.
        let address = std::ptr::from_ref(&*self).addr();
        if self.address != address {
            self.address = address;
            self.addresses.fetch_add(1, Ordering::Relaxed);
        }
        self.receiver.poll_recv(cx)
    }
}

/// A client that has received the headers of a stream. The server sends the items that are sent to
/// `items`.
struct Stream {
    client: Client,
    items: mpsc::UnboundedSender<Item>,
    addresses: Arc<AtomicUsize>,
}

impl Stream {
    /// Creates a stream with one item, and waits until the silent stream continues without hyper.
    async fn silent(limits: Limits, request: &str) -> Self {
        let (responses, next_response) = std::sync::mpsc::channel();
        let next_response = std::sync::Mutex::new(next_response);
        let handler = move |_: Request<RequestBody>| {
            let next = next_response.lock().expect("no panic").try_recv();
            ready(Response::new(next.expect("as many responses as requests")))
        };
        let mut client = Client::of(limits, handler).await;
        let addresses = Arc::default();
        let response = |addresses: &Arc<AtomicUsize>| {
            let (items, receiver) = mpsc::unbounded_channel();
            let addresses = Arc::clone(addresses);
            let body = Items {
                receiver,
                address: 0,
                addresses,
            };
            responses.send(body).expect("a server");
            items
        };
        let items = response(&addresses);
        // Another request on the same connection is answered with an empty stream.
        drop(response(&Arc::default()));
        client.write(request).await;
        client.expect(&["\r\n\r\n"]).await;
        items
            .send(Ok(Frame::data(Bytes::from("first"))))
            .expect("a body");
        client.expect(&["first\r\n"]).await;
        let stream = Self {
            client,
            items,
            addresses,
        };
        stream
            .wait("a stream without hyper", || stream.addresses() == 2)
            .await;
        stream
    }

    fn addresses(&self) -> usize {
        self.addresses.load(Ordering::Relaxed)
    }

    fn send(&self, text: impl Into<Bytes>) {
        let sent = self.items.send(Ok(Frame::data(text.into())));
        sent.expect("a body");
    }

    async fn wait(&self, what: &str, condition: impl Fn() -> bool) {
        let wait = async {
            while !condition() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(TIMEOUT, wait).await.expect(what);
    }
}

const GET: &str = "GET / HTTP/1.1\r\n\r\n";

#[tokio::test]
async fn a_silent_stream_and_its_connection_continue() {
    let mut stream = Stream::silent(limits(), GET).await;
    stream.send("second");
    stream.client.expect(&["6\r\nsecond\r\n"]).await;
    // An empty chunk would be the end.
    stream.send("");
    stream.send("x".repeat(100_000));
    stream.send("last");
    let large = format!("186A0\r\n{}\r\n", "x".repeat(100_000));
    stream.client.expect(&[&large, "4\r\nlast\r\n"]).await;
    // The client sends a request before the response has ended.
    stream.client.write(GET).await;
    let trailers = Frame::trailers(HeaderMap::new());
    stream.items.send(Ok(trailers)).expect("a body");
    drop(stream.items);
    let end = ["0\r\n\r\n", "HTTP/1.1 200 OK\r\n", "0\r\n\r\n"];
    stream.client.expect(&end).await;
}

#[tokio::test]
async fn a_connection_without_keep_alive_ends_with_its_silent_stream() {
    let close = "GET / HTTP/1.1\r\nconnection: Close\r\n\r\n";
    for request in [close, GET] {
        let mut stream = Stream::silent(limits(), request).await;
        if request == GET {
            // A shutdown waits for the stream.
            stream.client.shutdown.send_replace(());
        }
        stream.send("last");
        stream.client.expect(&["4\r\nlast\r\n"]).await;
        drop(stream.items);
        assert_eq!(stream.client.rest().await, "0\r\n\r\n");
        stream.client.end().await.expect("no error");
    }
}

#[tokio::test]
async fn a_disconnected_client_ends_its_silent_stream() {
    let stream = Stream::silent(limits(), GET).await;
    drop(stream.client.stream);
    let closed = tokio::time::timeout(TIMEOUT, stream.items.closed()).await;
    closed.expect("a body that is dropped");
}

#[tokio::test]
async fn a_silent_stream_that_fails_is_cut_off() {
    let mut stream = Stream::silent(limits(), GET).await;
    stream.send("last");
    let failed = stream.items.send(Err(io::Error::other("no more")));
    failed.expect("a body");
    let rest = stream.client.rest().await;
    assert!(!rest.contains("0\r\n\r\n"), "{rest}");
    let end = stream.client.end().await;
    assert!(matches!(end, Err(ConnectionError::Body(_))), "{end:?}");
}

#[tokio::test]
async fn a_client_that_stops_reading_after_a_silence_is_cut_off() {
    let short = Limits {
        write_timeout: Some(Duration::from_millis(300)),
        ..limits()
    };
    let stream = Stream::silent(short, GET).await;
    // More than the sockets hold.
    for _ in 0..32 {
        stream.send(vec![b'x'; 1 << 20]);
    }
    let end = stream.client.ended().await;
    assert!(
        matches!(end, Err(ConnectionError::WriteTimeout(_))),
        "{end:?}"
    );
}
