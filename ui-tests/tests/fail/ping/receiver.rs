use ppio::PingStatus;

struct Agent;

impl Agent {
    #[ppio::ping]
    fn health(&self) -> PingStatus {
        PingStatus::Healthy
    }
}

fn main() {}
