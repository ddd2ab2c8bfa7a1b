//! A plain function that sleeps as long as the request says: `{"ms": 2000}`. Its health check is a
//! plain function too, so it needs a thread as well.

use std::time::Duration;

use ppio::PingStatus;

#[derive(serde::Deserialize)]
struct Nap {
    ms: u64,
}

#[ppio::entrypoint]
fn agent(Nap { ms }: Nap) -> u64 {
    std::thread::sleep(Duration::from_millis(ms));
    ms
}

#[ppio::ping]
fn health() -> PingStatus {
    PingStatus::Healthy
}
