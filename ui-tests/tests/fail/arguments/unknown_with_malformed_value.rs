use ppio::PingStatus;

#[ppio::ping(every = ;)]
fn health() -> PingStatus {
    PingStatus::Healthy
}

fn main() {}
