#[ppio::startup]
struct Pool;

#[ppio::shutdown]
enum Closed {}

fn main() {}
