#[ppio::websocket]
struct Chat;

fn main() {}
