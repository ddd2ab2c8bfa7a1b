//! An iterator without an end, each of whose items takes as long as the request says: `{"ms": 50}`.

use std::time::Duration;

#[derive(serde::Deserialize)]
struct Pace {
    ms: u64,
}

#[ppio::entrypoint]
fn agent(Pace { ms }: Pace) -> impl Iterator<Item = u64> {
    (0..).inspect(move |_| std::thread::sleep(Duration::from_millis(ms)))
}
