use ppio::PingStatus;

#[ppio::ping(on_disconnect = "continue")]
fn health() -> PingStatus {
    PingStatus::Healthy
}

fn main() {}
