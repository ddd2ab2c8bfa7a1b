#[ppio::ping]
fn health() -> bool {
    true
}

fn main() {}
