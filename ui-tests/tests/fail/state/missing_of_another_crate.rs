use std::collections::HashMap;
use std::sync::Mutex;

use ppio::{State, Value};

#[ppio::startup]
async fn build() -> Mutex<Vec<u8>> {
    Mutex::default()
}

#[ppio::entrypoint]
fn agent(request: Value, _table: &State<Mutex<HashMap<String, u8>>>) -> Value {
    request
}
