//! An endless iterator, each of whose items takes the time in the request: `{"ms": 50}`.

use std::time::Duration;

#[derive(serde::Deserialize)]
struct Pace {
    ms: u64,
}

#[ppio::entrypoint]
fn agent(Pace { ms }: Pace) -> impl Iterator<Item = u64> {
    (0..).inspect(move |_| std::thread::sleep(Duration::from_millis(ms)))
}
