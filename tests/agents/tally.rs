//! An agent that counts how often it was invoked for each number, and streams numbers.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::{Stream, stream};
use ppio::{Reply, Value, json};

static TALLY: Mutex<Option<HashMap<u64, u64>>> = Mutex::new(None);

/// What to do.
#[derive(Debug, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
enum Request {
    /// Counts a number, and answers after some work.
    Count { number: u64, work_ms: u64 },
    /// Answers how many numbers were counted, and those that were counted more than once.
    Report {},
    /// Streams the numbers up to this one.
    Stream { items: u64, pause_ms: u64 },
}

fn count(number: u64) -> u64 {
    let mut tally = TALLY.lock().unwrap_or_else(PoisonError::into_inner);
    let times = tally.get_or_insert_default().entry(number).or_default();
    *times += 1;
    *times
}

fn report() -> Value {
    let tally = TALLY.lock().unwrap_or_else(PoisonError::into_inner);
    let tally = tally.as_ref();
    let twice = tally.map(|tally| tally.iter().filter(|(_, times)| **times > 1));
    json!({
        "numbers": tally.map_or(0, HashMap::len),
        "twice": twice.map_or_else(Vec::new, |twice| twice.collect()),
    })
}

#[ppio::entrypoint]
async fn agent(request: Request) -> Reply<Value, impl Stream<Item = Value>> {
    match request {
        Request::Count { number, work_ms } => {
            let times = count(number);
            tokio::time::sleep(Duration::from_millis(work_ms)).await;
            Reply::Value(json!({ "number": number, "times": times }))
        }
        Request::Report {} => Reply::Value(report()),
        Request::Stream { items, pause_ms } => {
            Reply::Stream(stream::unfold(1, move |number| async move {
                if number > items {
                    return None;
                }
                tokio::time::sleep(Duration::from_millis(pause_ms)).await;
                // Items have different sizes, so that connections are cut at every position.
                let padding = "é".repeat(usize::try_from(number * 7 % 40).unwrap_or_default());
                Some((json!([number, padding]), number + 1))
            }))
        }
    }
}
