//! A plain function that sleeps for the time in the request: `{"ms": 2000}`. Its health check is
//! also a plain function, so it needs a thread as well.

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
