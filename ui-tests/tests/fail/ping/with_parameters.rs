use ppio::{PingStatus, RequestContext};

#[ppio::ping]
fn health(_context: RequestContext) -> PingStatus {
    PingStatus::Healthy
}

fn main() {}
