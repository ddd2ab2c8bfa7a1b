#[ppio::ping(every = 5)]
const unsafe fn health<T>(_depth: u8) {}

fn main() {}
