use ppio::PingStatus;

struct Broken;

#[ppio::ping]
async fn health() -> Result<PingStatus, Broken> {
    Err(Broken)
}

fn main() {}
