//! Sends the same request on several connections for a bounded time. A connection sends the next
//! request when the previous response is complete.
//!
//! Prints a `name=value` line for each result: counts, the duration in seconds, rates per second,
//! and percentiles of the latency of complete responses in microseconds.

mod arguments;
mod response;

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use arguments::Arguments;
use response::{ResponseCounts, ResponseReader};

/// The time limit for a connection attempt and for a response; exceeding it ends the run.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(30);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse(std::env::args().skip(1))?;
    let request: Arc<[u8]> = format!(
        "POST {} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{}",
        arguments.path,
        arguments.address,
        arguments.body.len(),
        arguments.body
    )
    .into_bytes()
    .into();

    // Opens all connections before the measurement starts.
    let mut sockets = Vec::with_capacity(arguments.connections);
    for _ in 0..arguments.connections {
        let socket = timeout(RESPONSE_TIMEOUT, TcpStream::connect(arguments.address)).await??;
        socket.set_nodelay(true)?;
        sockets.push(socket);
    }
    let started = Instant::now();
    let stop_at = started + arguments.duration;
    let mut connections = JoinSet::new();
    for socket in sockets {
        connections.spawn(send_requests(socket, Arc::clone(&request), stop_at));
    }
    let mut sum = Totals::default();
    while let Some(totals) = connections.join_next().await {
        sum.add(totals??);
    }
    sum.report(started.elapsed());
    Ok(())
}

/// Sends requests on one connection until `stop_at`, and reads the last response to its end.
async fn send_requests(
    mut socket: TcpStream,
    request: Arc<[u8]>,
    stop_at: Instant,
) -> std::io::Result<Totals> {
    let (reading, mut writing) = socket.split();
    let mut responses = ResponseReader::new(reading);
    let mut totals = Totals::default();
    let mut sent = Instant::now();
    while sent < stop_at {
        writing.write_all(&request).await?;
        let counts = timeout(RESPONSE_TIMEOUT, responses.next()).await??;
        let received = Instant::now();
        totals.count(&counts, received - sent);
        sent = received;
    }
    Ok(totals)
}

/// The totals of the responses that were received.
#[derive(Default)]
struct Totals {
    items: u64,
    body_bytes: u64,
    /// The time to the end of each response, one per response.
    latencies: Vec<Duration>,
}

impl Totals {
    fn count(&mut self, counts: &ResponseCounts, latency: Duration) {
        self.items += counts.items;
        self.body_bytes += counts.body_bytes;
        self.latencies.push(latency);
    }

    fn add(&mut self, other: Self) {
        self.items += other.items;
        self.body_bytes += other.body_bytes;
        self.latencies.extend(other.latencies);
    }

    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
    fn report(mut self, elapsed: Duration) {
        self.latencies.sort_unstable();
        let seconds = elapsed.as_secs_f64();
        assert!(!self.latencies.is_empty(), "the server sent no response");
        println!("responses={}", self.latencies.len());
        println!("seconds={seconds:.3}");
        println!(
            "responses_per_second={:.1}",
            self.latencies.len() as f64 / seconds
        );
        println!("items_per_second={:.1}", self.items as f64 / seconds);
        println!("body_bytes={}", self.body_bytes);
        for (name, per_mille) in [("p50", 500), ("p90", 900), ("p99", 990), ("p999", 999)] {
            let rank = (self.latencies.len() * per_mille / 1000).min(self.latencies.len() - 1);
            println!("{name}_us={}", self.latencies[rank].as_micros());
        }
    }
}
