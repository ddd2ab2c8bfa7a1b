//! An agent with state. The variables `STARTUP` and `SHUTDOWN` select what its startup and shutdown
//! functions do: `fail`, `panic`, `wait` or `block`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ppio::State;

struct Counter(AtomicU64);

#[ppio::startup]
async fn open() -> Result<Counter, std::io::Error> {
    eprintln!("opening");
    act("STARTUP").await?;
    Ok(Counter(AtomicU64::new(0)))
}

#[ppio::entrypoint]
async fn agent(milliseconds: u64, counter: State<Counter>) -> u64 {
    tokio::time::sleep(Duration::from_millis(milliseconds)).await;
    counter.0.0.fetch_add(1, Ordering::Relaxed) + 1
}

#[ppio::shutdown]
async fn close(counter: State<Counter>) -> Result<(), std::io::Error> {
    let count = counter.0.0.load(Ordering::Relaxed);
    eprintln!("closing after {count}");
    act("SHUTDOWN").await
}

#[ppio::shutdown]
fn close_last() {
    eprintln!("closing last");
}

async fn act(variable: &str) -> Result<(), std::io::Error> {
    match std::env::var(variable).as_deref() {
        Ok("fail") => Err(std::io::Error::other(format!("no disk in {variable}"))),
        Ok("panic") => panic!("no luck in {variable}"),
        Ok("wait") => {
            tokio::time::sleep(Duration::from_secs(600)).await;
            Ok(())
        }
        Ok("block") => {
            std::thread::sleep(Duration::from_secs(600));
            Ok(())
        }
        _ => Ok(()),
    }
}
