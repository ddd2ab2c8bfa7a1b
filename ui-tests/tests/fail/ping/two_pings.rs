use ppio::PingStatus;

#[ppio::ping]
fn health() -> PingStatus {
    PingStatus::Healthy
}

#[ppio::ping]
fn other_health() -> PingStatus {
    PingStatus::HealthyBusy
}

fn main() {}
