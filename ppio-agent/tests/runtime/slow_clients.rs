//! Timeouts of slow clients and slow handlers.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use crate::support::{
    Connection, TIMEOUT, TestServer, config, echo, eventually, get, invocation, with_timeout,
};
use futures_util::{StreamExt as _, stream};
use ppio::{AgentRuntimeApp, InvocationRequest, Sse, SseIter, StartError, Value};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpSocket;
use tokio::sync::Semaphore;

/// The configured limit in most of these tests.
const LIMIT: Duration = Duration::from_millis(300);
/// The additional time that is allowed on a busy machine.
const SLACK: Duration = Duration::from_secs(5);

/// Sends `bytes` one at a time until the server closes the connection; returns the time until then.
async fn drip(connection: &mut Connection, bytes: &str) -> Duration {
    let started = Instant::now();
    for byte in bytes.as_bytes() {
        if connection.stream.write_all(&[*byte]).await.is_err() {
            break;
        }
        // The speed of this client; not a wait for a condition.
        let pace = tokio::time::sleep(Duration::from_millis(20));
        tokio::select! {
            () = pace => {}
            readable = connection.stream.readable() => {
                readable.expect("a socket");
                break;
            }
        }
    }
    started.elapsed()
}

#[tokio::test]
async fn headers_sent_byte_by_byte_are_cut_off_at_the_header_timeout() {
    let server = TestServer::start(echo(config().header_timeout(LIMIT))).await;
    let mut connection = server.connect().await;
    // At this speed the whole request would take 20 s.
    let head = format!("{}x: {}", get("/ping").trim_end(), "y".repeat(1000));
    let after = drip(&mut connection, &head).await;
    assert!((LIMIT..LIMIT + SLACK).contains(&after), "{after:?}");
    connection.assert_closed().await;
    server.assert_alive().await;
}

#[tokio::test]
async fn an_idle_connection_ends_at_the_keep_alive_timeout_not_the_header_timeout() {
    let header = TestServer::start(echo(config().header_timeout(LIMIT))).await;
    let idle = TestServer::start(echo(config().keep_alive_timeout(LIMIT))).await;
    let mut kept = Vec::new();
    for server in [&header, &idle] {
        let mut connection = server.connect().await;
        connection.write(get("/ping")).await;
        assert_eq!(connection.answer().await.status, 200);
        kept.push(connection);
    }
    // Before the first request, the header timeout applies.
    let mut fresh = header.connect().await;
    fresh.assert_closed().await;
    kept[1].assert_closed().await;
    // The other connection was idle for longer than the header timeout.
    kept[0].write(get("/ping")).await;
    assert_eq!(kept[0].answer().await.status, 200);
    // A connection that has begun to send headers is not idle.
    kept[0].write("GET /ping").await;
    kept[0].assert_closed().await;
    idle.assert_alive().await;
}

#[tokio::test]
async fn a_body_sent_too_slowly_is_a_408() {
    let server = TestServer::start(echo(config().body_timeout(LIMIT))).await;
    let request = invocation(&format!("\"{}\"", "x".repeat(900)));
    let (head, body) = request.split_at(request.len() - 902);
    let mut connection = server.connect().await;
    connection.write(head).await;
    let after = drip(&mut connection, body).await;
    // The deadline is measured from the first wait, which may begin just before the first byte.
    assert!((LIMIT / 2..LIMIT + SLACK).contains(&after), "{after:?}");
    let error = connection.answer().await.error(408, "RequestTimeout");
    assert_eq!(error, "the request body did not arrive within 0.3 s");
    connection.rest().await;
    server.assert_alive().await;
}

/// Opens a connection with a small receive buffer, so that the server soon cannot send more.
async fn connect_with_small_buffer(address: SocketAddr) -> Connection {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(8192).expect("a small buffer");
    let stream = with_timeout("the connection", socket.connect(address)).await;
    Connection::over(stream.expect("a connection"))
}

const ITEM: usize = 16 * 1024;
/// An upper bound for what the sockets of both sides and the runtime buffer together, in bytes.
const BUFFERED: usize = 16 << 20;

/// An endless iterator that counts its items, and closes a channel when it is dropped.
struct Endless {
    sent: Arc<AtomicUsize>,
    _held: mpsc::Sender<()>,
}

impl Iterator for Endless {
    type Item = Result<String, Infallible>;

    fn next(&mut self) -> Option<Self::Item> {
        self.sent.fetch_add(1, Ordering::Relaxed);
        Some(Ok("x".repeat(ITEM)))
    }
}

/// Checks that a handler whose client reads nothing waits, and is dropped at the write timeout.
async fn assert_waits_and_is_dropped(
    app: Result<AgentRuntimeApp, StartError>,
    sent: &AtomicUsize,
    dropped: mpsc::Receiver<()>,
) {
    let server = TestServer::start(app).await;
    let mut connection = connect_with_small_buffer(server.address).await;
    let started = Instant::now();
    connection.write(invocation("1")).await;
    let gone = tokio::task::spawn_blocking(move || dropped.recv_timeout(TIMEOUT));
    let gone = gone.await.expect("a thread");
    assert_eq!(gone, Err(mpsc::RecvTimeoutError::Disconnected), "dropped");
    assert!(started.elapsed() >= LIMIT);
    let bytes = sent.load(Ordering::Relaxed) * ITEM;
    assert!(bytes < BUFFERED, "the handler ran {bytes} bytes ahead");
    server.idle().await;
    // The part of the stream that the client received is incomplete.
    let rest = connection.rest().await;
    assert!(rest.starts_with(b"HTTP/1.1 200 OK\r\n"));
    assert!(!rest.ends_with(b"0\r\n\r\n"));
    server.assert_alive().await;
}

#[tokio::test]
async fn an_endless_stream_is_dropped_if_its_client_reads_nothing() {
    let sent = Arc::new(AtomicUsize::new(0));
    let (held, dropped) = mpsc::channel();
    let (counted, held) = (Arc::clone(&sent), Mutex::new(Some(held)));
    let app = AgentRuntimeApp::builder()
        .config(config().write_timeout(LIMIT))
        .entrypoint(move |_: Value| {
            let endless = Endless {
                sent: Arc::clone(&counted),
                _held: held.lock().expect("a lock").take().expect("one call"),
            };
            async { Sse(stream::iter(endless)) }
        })
        .build();
    assert_waits_and_is_dropped(app, &sent, dropped).await;
}

#[tokio::test]
async fn an_endless_iterator_is_dropped_if_its_client_reads_nothing() {
    let sent = Arc::new(AtomicUsize::new(0));
    let (held, dropped) = mpsc::channel();
    let (counted, held) = (Arc::clone(&sent), Arc::new(Mutex::new(Some(held))));
    let app = AgentRuntimeApp::builder()
        .config(config().write_timeout(LIMIT))
        .entrypoint(move |_: Value| {
            SseIter(Endless {
                sent: Arc::clone(&counted),
                _held: held.lock().expect("a lock").take().expect("one call"),
            })
        })
        .build();
    assert_waits_and_is_dropped(app, &sent, dropped).await;
}

#[tokio::test]
async fn a_client_that_pauses_longer_than_the_timeout_gets_its_whole_stream() {
    const ITEMS: usize = 2000;
    let sent = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&sent);
    let app = AgentRuntimeApp::builder()
        .config(config().timeout(LIMIT).heartbeat(Duration::ZERO))
        .entrypoint(move |_: Value| {
            let counted = Arc::clone(&counted);
            async {
                Sse(stream::iter(0..ITEMS).then(move |_| {
                    counted.fetch_add(1, Ordering::Relaxed);
                    async {
                        // Several awaits per item, as with a model that the agent calls.
                        for _ in 0..3 {
                            tokio::task::yield_now().await;
                        }
                        Ok::<_, Infallible>("x".repeat(ITEM))
                    }
                }))
            }
        })
        .build();
    let server = TestServer::start(app).await;
    let mut connection = connect_with_small_buffer(server.address).await;
    connection.write(invocation("1")).await;
    connection.head().await;
    // The client reads on after the handler was paused longer than the timeout.
    let (mut last, mut since) = (0, Instant::now());
    eventually("a handler that waits", || {
        let now = sent.load(Ordering::Relaxed);
        if now != last {
            (last, since) = (now, Instant::now());
        }
        since.elapsed() > 2 * LIMIT
    })
    .await;
    assert!(last < ITEMS, "the handler never had to wait");
    let mut items = 0;
    while let Some(events) = connection.events().await {
        for event in events {
            assert!(event.is_string(), "{event}");
            items += 1;
        }
    }
    assert_eq!(items, ITEMS);
}

#[tokio::test]
async fn heartbeats_keep_a_silent_stream_open_and_are_not_items() {
    let gate = Arc::new(Semaphore::new(0));
    let opening = Arc::clone(&gate);
    let app = AgentRuntimeApp::builder()
        .config(config().heartbeat(Duration::from_millis(30)))
        .entrypoint(move |_: Value| {
            let gate = Arc::clone(&gate);
            async {
                Sse(stream::once(
                    async move { gate.acquire().await.map(|_| "late") },
                ))
            }
        })
        .build();
    let server = TestServer::start(app).await;
    let mut connection = server.connect().await;
    connection.write(invocation("1")).await;
    let head = connection.head().await;
    assert_eq!(head.status, 200);
    assert_eq!(
        head.header("content-type"),
        Some("text/event-stream; charset=utf-8")
    );
    assert_eq!(head.header("cache-control"), Some("no-cache"));
    assert_eq!(head.header("x-accel-buffering"), Some("no"));
    for _ in 0..3 {
        assert_eq!(
            connection.chunk().await.as_deref(),
            Some(&b": keep-alive\n\n"[..])
        );
    }
    opening.add_permits(1);
    let mut items = Vec::new();
    while let Some(events) = connection.events().await {
        items.extend(events);
    }
    assert_eq!(items, ["late"]);
}

#[tokio::test]
async fn heartbeats_are_sent_while_an_iterator_holds_its_thread() {
    let (release, released) = mpsc::channel();
    let released = Arc::new(Mutex::new(Some(released)));
    let app = AgentRuntimeApp::builder()
        .config(config().heartbeat(Duration::from_millis(30)))
        .entrypoint(move |_: Value| {
            let released = released.lock().expect("a lock").take().expect("one call");
            SseIter(std::iter::once_with(move || released.recv_timeout(TIMEOUT)))
        })
        .build();
    let server = TestServer::start(app).await;
    let mut connection = server.connect().await;
    connection.write(invocation("1")).await;
    connection.head().await;
    for _ in 0..3 {
        assert_eq!(
            connection.chunk().await.as_deref(),
            Some(&b": keep-alive\n\n"[..])
        );
    }
    release.send("late").expect("the iterator waits");
    let mut items = Vec::new();
    while let Some(events) = connection.events().await {
        items.extend(events);
    }
    assert_eq!(items, ["late"]);
}

/// Checks that a stream of one item, followed only by heartbeats, ends with an error item.
async fn assert_stalls(app: Result<AgentRuntimeApp, StartError>) {
    let server = TestServer::start(app).await;
    let mut connection = server.connect().await;
    let started = Instant::now();
    connection.write(invocation("1")).await;
    let answer = connection.answer().await;
    let after = started.elapsed();
    assert!((LIMIT..LIMIT + SLACK).contains(&after), "{after:?}");
    let events = answer.events();
    assert_eq!(events.len(), 2, "{events:?}");
    assert_eq!(events[0], "first");
    assert_eq!(events[1]["error_type"], "Timeout");
    assert_eq!(
        events[1]["error"],
        "the stream sent nothing for 0.3 s and was ended"
    );
    assert!(answer.text().contains(": keep-alive\n\n"));
    connection.write(get("/ping")).await;
    assert_eq!(connection.answer().await.status, 200);
    server.idle().await;
}

#[tokio::test]
async fn a_stream_that_stalls_is_ended_with_an_error_item() {
    let app = AgentRuntimeApp::builder()
        .config(config().timeout(LIMIT).heartbeat(LIMIT / 5))
        .entrypoint(|_: Value| async {
            let first = stream::once(async { Ok::<_, Infallible>("first") });
            Sse(first.chain(stream::pending()))
        })
        .build();
    assert_stalls(app).await;
}

#[tokio::test]
async fn a_stalled_iterator_is_ended_while_its_thread_hangs() {
    let (never, hangs) = mpsc::channel::<&str>();
    let hangs = Arc::new(Mutex::new(Some(hangs)));
    let app = AgentRuntimeApp::builder()
        .config(config().timeout(LIMIT).heartbeat(LIMIT / 5))
        .entrypoint(move |_: Value| {
            let hangs = hangs.lock().expect("a lock").take().expect("one call");
            let rest = std::iter::once_with(move || hangs.recv());
            SseIter(std::iter::once(Ok("first")).chain(rest))
        })
        .build();
    assert_stalls(app).await;
    drop(never);
}

#[tokio::test]
async fn a_handler_that_never_returns_is_a_504() {
    let (never, hangs) = mpsc::channel::<()>();
    let hangs = Arc::new(Mutex::new(Some(hangs)));
    let asynchronous = AgentRuntimeApp::builder()
        .config(config().timeout(LIMIT))
        .entrypoint(async |_: Value| std::future::pending::<()>().await)
        .build();
    let blocking = AgentRuntimeApp::builder()
        .config(config().timeout(LIMIT))
        .entrypoint(move |_: Value| {
            let hangs = hangs.lock().expect("a lock").take().expect("one call");
            hangs.recv().ok();
        })
        .build();
    let middleware = AgentRuntimeApp::builder()
        .config(config().timeout(LIMIT))
        .middleware(async |_, _| std::future::pending::<ppio::Response>().await)
        .entrypoint(|request: Value| async { request })
        .build();
    for app in [asynchronous, blocking, middleware] {
        let server = TestServer::start(app).await;
        let mut connection = server.connect().await;
        let started = Instant::now();
        connection.write(invocation("1")).await;
        let error = connection.answer().await.error(504, "Timeout");
        let after = started.elapsed();
        assert_eq!(error, "the agent did not answer within 0.3 s");
        assert!((LIMIT..LIMIT + SLACK).contains(&after), "{after:?}");
        connection.write(get("/ping")).await;
        assert_eq!(connection.answer().await.status, 200);
        assert_eq!(server.metric("invocations_running").await, 0);
    }
    drop(never);
}

#[tokio::test]
async fn a_request_can_shorten_the_timeout_and_not_extend_it() {
    let app = AgentRuntimeApp::builder()
        .config(config().timeout(Duration::from_secs(2)))
        .entrypoint(async |_: InvocationRequest| std::future::pending::<()>().await)
        .build();
    let server = TestServer::start(app).await;
    for (asked, granted) in [(1, "1 s"), (3600, "2 s")] {
        let body = format!("{{\"prompt\":\"x\",\"timeout\":{asked}}}");
        let error = server.invoke(&body).await.error(504, "Timeout");
        assert_eq!(error, format!("the agent did not answer within {granted}"));
    }
}
