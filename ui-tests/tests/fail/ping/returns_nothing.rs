#[ppio::ping]
fn health() {}

fn main() {}
