#[ppio::middleware]
mod layers {}

fn main() {}
