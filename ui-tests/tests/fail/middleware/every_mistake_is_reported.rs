#[ppio::middleware(order, once, all, all)]
unsafe fn layer<T>(_request: T) {}

fn main() {}
