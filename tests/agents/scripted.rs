//! An agent that streams the items of the request and ends as the request directs.

use std::time::Duration;

use futures_util::{Stream, stream};
use ppio::Value;

/// What to do. A prompt alone is streamed word by word.
#[derive(Debug, Clone, Default, serde::Deserialize)]
#[serde(default)]
struct Script {
    prompt: String,
    items: Vec<Value>,
    /// Before each item.
    pause_ms: u64,
    end: End,
}

#[derive(Debug, Clone, Default, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
enum End {
    #[default]
    Clean,
    /// With an error.
    Fail(String),
    /// Not at all.
    Hang,
    /// With the whole process.
    Vanish,
}

#[ppio::entrypoint]
async fn agent(mut script: Script) -> impl Stream<Item = Result<Value, String>> {
    let words = script.prompt.split_inclusive(' ').map(Value::from);
    script.items.extend(words.collect::<Vec<_>>());
    // This goes to the log of the sandbox.
    eprintln!("asked for {} items", script.items.len());
    let items = script.items.clone().into_iter().map(Ok).map(Some);
    // `None` stands for the end of the stream, which may never come.
    let steps = items.chain([None]);
    stream::unfold((steps, script), |(mut steps, script)| async move {
        tokio::time::sleep(Duration::from_millis(script.pause_ms)).await;
        let item = match (steps.next()?, &script.end) {
            (Some(item), _) => item,
            (None, End::Clean) => return None,
            (None, End::Fail(text)) => Err(text.clone()),
            (None, End::Hang) => std::future::pending().await,
            (None, End::Vanish) => std::process::exit(9),
        };
        Some((item, (steps, script)))
    })
}
