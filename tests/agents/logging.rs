//! An agent that logs a line wherever its author's code runs, and fails on request: `{"do": "fail"
//! | "fail later" | "panic" | "panic later"}`.

use ppio::{AgentRuntimeContext, Next, Request, Response, Value};

type Items = Box<dyn Iterator<Item = Result<u32, String>> + Send>;

#[ppio::middleware]
async fn around(request: Request, next: Next) -> Response {
    tracing::info!("on the way in");
    let response = next.run(request).await;
    tracing::info!("on the way out");
    response.map(|body| body.on_end(|_| tracing::info!("at the end")))
}

#[ppio::entrypoint]
async fn agent(request: Value) -> Result<Items, String> {
    tracing::info!("in the function");
    tracing::debug!("in detail");
    let work = ppio::task::spawn("work", async { tracing::info!("in a task") });
    // If the task panics, its line is missing from the log.
    let _ = work.await;
    // A thread that the runtime did not start.
    let context = AgentRuntimeContext::current();
    let work = ppio::tokio::task::spawn_blocking(move || {
        let line = || tracing::info!("in a thread");
        match context {
            Some(context) => AgentRuntimeContext::sync_scope(context, line),
            None => line(),
        }
    });
    let _ = work.await;
    let what = request["do"].as_str().unwrap_or_default().to_owned();
    match what.as_str() {
        "fail" => return Err("no luck".to_owned()),
        "panic" => panic!("boom"),
        _ => {}
    }
    Ok(Box::new((0..3).map(move |number| {
        tracing::info!(number, "in an iterator");
        match what.as_str() {
            "fail later" if number == 1 => Err("no luck".to_owned()),
            "panic later" if number == 1 => panic!("boom"),
            _ => Ok(number),
        }
    })))
}
