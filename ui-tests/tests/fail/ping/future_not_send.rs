use std::rc::Rc;

use ppio::PingStatus;

#[ppio::ping]
async fn health() -> PingStatus {
    let status = Rc::new(PingStatus::Healthy);
    std::future::ready(()).await;
    *status
}

fn main() {}
