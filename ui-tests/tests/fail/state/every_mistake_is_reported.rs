#[ppio::startup(config = 1)]
const fn build<T>(_depth: u8) -> impl Clone {}

#[ppio::shutdown(order = 1)]
unsafe fn close<T>(_depth: &mut u8) {}

fn main() {}
