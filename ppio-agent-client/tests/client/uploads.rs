//! Uploads, and the progress that they report.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use ppio_agent_client::{AgentRuntimeClient, ClientConfig};
use ppio_test_support::{eventually, with_timeout};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// A size in bytes that exceeds what the two ends of a connection buffer while nothing is read.
const SIZE: u64 = 64 * 1024 * 1024;
const CREATED: &[u8] = b"HTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n";

/// The counts that an upload has reported.
#[derive(Clone, Default)]
struct Counts(Arc<Mutex<Vec<u64>>>);

impl Counts {
    fn meter(&self) -> impl Fn(u64) + Send + Sync + 'static {
        let counts = Arc::clone(&self.0);
        move |sent| counts.lock().expect("no panic").push(sent)
    }

    fn reported(&self) -> Vec<u64> {
        self.0.lock().expect("no panic").clone()
    }
}

fn client() -> AgentRuntimeClient {
    let config = ClientConfig {
        retry_delay: Duration::from_millis(1),
        ..ClientConfig::default()
    };
    let builder = AgentRuntimeClient::builder().api_key("k").config(config);
    builder.build().expect("set up")
}

/// Reads a request's headers and nothing after them.
async fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    loop {
        let mut byte = [0];
        stream.read_exact(&mut byte).await.expect("a head");
        head.push(byte[0]);
        if head.ends_with(b"\r\n\r\n") {
            return String::from_utf8(head).expect("text").to_lowercase();
        }
    }
}

async fn read_rest(stream: &mut TcpStream, mut left: u64) {
    let mut part = vec![0; 1 << 20];
    while left > 0 {
        let count = stream.read(&mut part).await.expect("a body");
        assert_ne!(count, 0, "{left} bytes are missing");
        left -= count as u64;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_follows_what_the_server_reads() {
    let storage = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!(
        "http://{}/files?signature=s",
        storage.local_addr().expect("bound")
    );
    let counts = Counts::default();
    let meter = counts.meter();
    let upload = tokio::spawn(async move {
        let body = vec![7; usize::try_from(SIZE).expect("a size")];
        client()
            .platform()
            .upload_files_with_progress(&url, body, meter)
            .await
    });

    let (mut stream, _) = storage.accept().await.expect("a connection");
    let head = head(&mut stream).await;
    assert!(
        head.starts_with("put /files?signature=s http/1.1\r\n"),
        "{head}"
    );
    assert!(
        head.contains(&format!("content-length: {SIZE}\r\n")),
        "{head}"
    );
    assert!(!head.contains("x-api-key"), "{head}");
    // No byte of the body was read: a part of the body has been sent, most of it has not.
    eventually("the upload begins", || !counts.reported().is_empty()).await;
    let sent = counts.reported().last().copied();
    assert!(
        sent < Some(SIZE / 2),
        "{sent:?} of {SIZE} are reported, and the server reads nothing"
    );
    assert!(!upload.is_finished());

    read_rest(&mut stream, SIZE).await;
    stream.write_all(CREATED).await.expect("answered");
    let outcome = with_timeout("the end of the upload", upload).await;
    outcome.expect("no panic").expect("uploaded");
    let reported = counts.reported();
    assert_eq!(reported.last(), Some(&SIZE));
    let steps = reported.windows(2).map(|two| two[1].checked_sub(two[0]));
    for step in steps {
        assert!(
            step.is_some_and(|step| (1..=65536).contains(&step)),
            "a step of {step:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_attempt_counts_from_the_start() {
    let storage = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/files", storage.local_addr().expect("bound"));
    let counts = Counts::default();
    let meter = counts.meter();
    let upload = tokio::spawn(async move {
        let body = vec![7; 100_000];
        client()
            .platform()
            .upload_files_with_progress(&url, body, meter)
            .await
    });
    let (mut stream, _) = storage.accept().await.expect("a connection");
    head(&mut stream).await;
    read_rest(&mut stream, 100_000).await;
    // The connection is closed without a response.
    drop(stream);
    let (mut stream, _) = storage.accept().await.expect("another connection");
    head(&mut stream).await;
    read_rest(&mut stream, 100_000).await;
    stream.write_all(CREATED).await.expect("answered");
    let outcome = with_timeout("the end of the upload", upload).await;
    outcome.expect("no panic").expect("uploaded");
    let reported = counts.reported();
    let ends = reported.iter().filter(|&&sent| sent == 100_000).count();
    assert_eq!(
        (ends, reported.first(), reported.last()),
        (2, Some(&16384), Some(&100_000)),
        "{reported:?}"
    );
}
