//! What is asked: from the command line, a file or standard input.

use std::io::{self, IsTerminal as _, Read as _};
use std::path::Path;

use serde_json::{Value, json};

use crate::arguments::InvokeArguments;
use crate::error::{Failure, Fault};

const WAYS: &str =
    "give one with `--input TEXT` or `--json FILE`, or pipe a prompt into the command";

/// The body of the invocation.
pub(super) async fn read(arguments: &InvokeArguments) -> Result<Value, Failure> {
    let json = arguments.json.as_ref().and_then(Option::as_ref);
    match (&arguments.input, json) {
        (Some(_), Some(_)) => Err(Failure::new(
            Fault::Usage,
            "both `--input` and `--json` name a request",
        )
        .next("leave one out; `--output json` asks for JSON output alone")),
        (Some(text), None) => Ok(json!({ "prompt": text })),
        (None, Some(source)) => from_json(source).await,
        (None, None) => {
            if io::stdin().is_terminal() {
                return Err(Failure::new(Fault::Usage, "there is no request").next(WAYS));
            }
            let text = standard_input().await?;
            // What the shell adds is not part of the prompt.
            let text = text.strip_suffix('\n').unwrap_or(&text);
            if text.trim().is_empty() {
                return Err(Failure::new(
                    Fault::Usage,
                    "there is no request: standard input is empty",
                )
                .next(WAYS));
            }
            Ok(json!({ "prompt": text }))
        }
    }
}

async fn from_json(source: &str) -> Result<Value, Failure> {
    let (name, text) = match source {
        "-" => ("standard input".to_owned(), standard_input().await?),
        json if json.trim_start().starts_with('{') => ("the request".to_owned(), json.to_owned()),
        path => (path.to_owned(), file(Path::new(path)).await?),
    };
    serde_json::from_str(&text).map_err(|error| {
        Failure::new(Fault::Usage, format!("{name} is not JSON"))
            .because(&error)
            .next("a request is a JSON object, as in {\"prompt\": \"hi\"}")
    })
}

async fn file(path: &Path) -> Result<String, Failure> {
    tokio::fs::read_to_string(path).await.map_err(|error| {
        Failure::new(Fault::Usage, format!("cannot read {}", path.display())).because(&error)
    })
}

async fn standard_input() -> Result<String, Failure> {
    // A thread of its own, which may wait for ever: Ctrl-C does not.
    let read = tokio::task::spawn_blocking(|| {
        let mut text = String::new();
        io::stdin().lock().read_to_string(&mut text).map(|_| text)
    });
    let failed = |error: &dyn std::error::Error| {
        Failure::new(Fault::Usage, "cannot read standard input").because(error)
    };
    match read.await {
        Ok(Ok(text)) => Ok(text),
        Ok(Err(error)) => Err(failed(&error)),
        Err(error) => Err(failed(&error)),
    }
}
