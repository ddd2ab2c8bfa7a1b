#[ppio::routes(order = 1)]
const unsafe extern "C" fn main<T>(&self, router: &mut T, other: impl Clone) {}

fn main() {}
