use ppio::PingStatus;

struct Agent;

impl Agent {
    #[ppio::ping]
    fn health() -> PingStatus {
        PingStatus::Healthy
    }
}

fn main() {}
