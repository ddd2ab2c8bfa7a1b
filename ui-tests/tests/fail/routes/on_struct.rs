#[ppio::routes]
struct Routes;

fn main() {}
