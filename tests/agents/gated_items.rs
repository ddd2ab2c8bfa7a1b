//! An agent that streams JSON texts exactly as they are written in the request. Before each item
//! except the first, it waits for a file in a directory; the file's name is the number of the item.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::value::RawValue;

#[derive(serde::Deserialize)]
struct Script {
    gates: PathBuf,
    items: Vec<String>,
}

#[ppio::entrypoint]
fn agent(script: Script) -> impl Iterator<Item = Result<Box<RawValue>, String>> {
    let Script { gates, items } = script;
    items.into_iter().enumerate().map(move |(number, item)| {
        while number > 0 && !gates.join(number.to_string()).exists() {
            std::thread::sleep(Duration::from_millis(2));
        }
        RawValue::from_string(item).map_err(|error| error.to_string())
    })
}
