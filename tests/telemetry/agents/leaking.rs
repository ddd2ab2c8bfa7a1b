//! An agent that leaks a task: `watch` spawns a task that never ends, `index` spawns a task that
//! outlives the answer, and `background` a task that is meant to outlive it. Any other prompt
//! spawns nothing.

use std::time::Duration;

use ppio::InvocationRequest;
use tokio::time::sleep;
use tracing::Instrument as _;

#[ppio::entrypoint]
async fn answer(request: InvocationRequest) -> String {
    let prompt = request.prompt.unwrap_or_default();
    match prompt.as_str() {
        "watch" => {
            tokio::spawn(watch_prices().instrument(tracing::info_span!("watch_prices")));
        }
        "index" => {
            let index = async {
                sleep(Duration::from_millis(2500)).await;
                tracing::info!("indexed");
            };
            tokio::spawn(index.instrument(tracing::info_span!("index")));
        }
        "background" => {
            ppio::task::spawn("report", sleep(Duration::from_secs(4)));
        }
        _ => {}
    }
    format!("You said: {prompt}")
}

/// Loops forever, as an example of a task that does not end.
async fn watch_prices() {
    loop {
        sleep(Duration::from_millis(50)).await;
    }
}
