//! The request: from the command line, a file or standard input.

use std::io::{self, IsTerminal as _, Read as _};
use std::path::Path;

use serde_json::{Value, json};

use crate::arguments::InvokeArguments;
use crate::error::{CliError, ExitKind};

const NO_REQUEST_HELP: &str =
    "add `--input TEXT`, `--file PATH` or `--json FILE`, or pipe a prompt into the command";

/// Returns the body of the invocation.
pub(super) async fn read(arguments: &InvokeArguments) -> Result<Value, CliError> {
    let (input, path) = (&arguments.input, &arguments.file);
    let has_prompt = input.is_some() || path.is_some() || arguments.stdin;
    if let Some(source) = arguments.json.as_ref().and_then(Option::as_ref) {
        if has_prompt {
            let message = "both a prompt and `--json FILE` are given";
            return Err(CliError::new(ExitKind::Usage, message)
                .help("remove the prompt or `--json FILE`; for JSON output use `--output json`"));
        }
        return from_json(source).await;
    }
    if let Some(text) = input {
        return Ok(json!({ "prompt": text }));
    }
    if !has_prompt && io::stdin().is_terminal() {
        return Err(CliError::new(ExitKind::Usage, "there is no request").help(NO_REQUEST_HELP));
    }
    let (name, text) = match path {
        Some(path) => (path.display().to_string(), file(path).await?),
        None => ("standard input".to_owned(), standard_input().await?),
    };
    // The line end of `echo` or an editor is not part of the prompt.
    let text = text.strip_suffix('\n').unwrap_or(&text);
    if text.trim().is_empty() {
        let message = format!("there is no request: {name} is empty");
        return Err(CliError::new(ExitKind::Usage, message).help(NO_REQUEST_HELP));
    }
    Ok(json!({ "prompt": text }))
}

async fn from_json(source: &str) -> Result<Value, CliError> {
    let (name, text) = match source {
        "-" => ("standard input".to_owned(), standard_input().await?),
        json if json.trim_start().starts_with('{') => ("the request".to_owned(), json.to_owned()),
        path => (path.to_owned(), file(Path::new(path)).await?),
    };
    serde_json::from_str(&text).map_err(|error| {
        CliError::new(ExitKind::Usage, format!("{name} is not JSON"))
            .caused_by(&error)
            .help("a request is a JSON object, as in {\"prompt\": \"hi\"}")
    })
}

async fn file(path: &Path) -> Result<String, CliError> {
    tokio::fs::read_to_string(path).await.map_err(|error| {
        CliError::new(ExitKind::Usage, format!("cannot read {}", path.display())).caused_by(&error)
    })
}

async fn standard_input() -> Result<String, CliError> {
    // On another thread, which may block forever while signals are handled.
    let read = tokio::task::spawn_blocking(|| {
        let mut text = String::new();
        io::stdin().lock().read_to_string(&mut text).map(|_| text)
    });
    let failed = |error: &dyn std::error::Error| {
        CliError::new(ExitKind::Usage, "cannot read standard input").caused_by(error)
    };
    match read.await {
        Ok(Ok(text)) => Ok(text),
        Ok(Err(error)) => Err(failed(&error)),
        Err(error) => Err(failed(&error)),
    }
}
