#[ppio::websocket]
async fn chat() {}

fn main() {}
