#[ppio::ping]
struct Health;

fn main() {}
