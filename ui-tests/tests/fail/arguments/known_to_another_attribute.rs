use ppio::PingStatus;

#[ppio::ping(order = 1)]
fn health() -> PingStatus {
    PingStatus::Healthy
}

fn main() {}
