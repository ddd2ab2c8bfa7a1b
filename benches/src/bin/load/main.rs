//! Puts a server under load for a bounded time: every connection sends the same request again as
//! soon as the response to the last one is complete.
//!
//! Prints one `name=value` a line: what was counted, per second, and the latency of whole responses
//! in microseconds.

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
use response::{Counted, ResponseReader};

/// A response that takes longer than this ends the run.
const RESPONSE_DEADLINE: Duration = Duration::from_secs(30);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse(std::env::args().skip(1))?;
    let request: Arc<[u8]> = format!(
        "POST /invocations HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{}",
        arguments.address,
        arguments.body.len(),
        arguments.body
    )
    .into_bytes()
    .into();

    // All connections are there before the clock starts.
    let mut sockets = Vec::with_capacity(arguments.connections);
    for _ in 0..arguments.connections {
        let socket = timeout(RESPONSE_DEADLINE, TcpStream::connect(arguments.address)).await??;
        socket.set_nodelay(true)?;
        sockets.push(socket);
    }
    let started = Instant::now();
    let stop_at = started + arguments.duration;
    let mut connections = JoinSet::new();
    for socket in sockets {
        connections.spawn(drive(socket, Arc::clone(&request), stop_at));
    }
    let mut total = Tally::default();
    while let Some(tally) = connections.join_next().await {
        total.add(tally??);
    }
    total.report(started.elapsed());
    Ok(())
}

/// Sends and receives on one connection until `stop_at`; the last response is read to its end.
async fn drive(
    mut socket: TcpStream,
    request: Arc<[u8]>,
    stop_at: Instant,
) -> std::io::Result<Tally> {
    let (reading, mut writing) = socket.split();
    let mut responses = ResponseReader::new(reading);
    let mut tally = Tally::default();
    let mut sent = Instant::now();
    while sent < stop_at {
        writing.write_all(&request).await?;
        let counted = timeout(RESPONSE_DEADLINE, responses.next()).await??;
        let received = Instant::now();
        tally.count(&counted, received - sent);
        sent = received;
    }
    Ok(tally)
}

/// What was received so far.
#[derive(Default)]
struct Tally {
    items: u64,
    body_bytes: u64,
    /// One for each response.
    latencies: Vec<Duration>,
}

impl Tally {
    fn count(&mut self, counted: &Counted, latency: Duration) {
        self.items += counted.items;
        self.body_bytes += counted.body_bytes;
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
