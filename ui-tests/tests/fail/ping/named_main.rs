use ppio::{PingStatus, Value};

#[ppio::entrypoint]
fn agent(request: Value) -> Value {
    request
}

#[ppio::ping]
fn main() -> PingStatus {
    PingStatus::Healthy
}
