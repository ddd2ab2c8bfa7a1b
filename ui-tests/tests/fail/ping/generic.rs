#[ppio::ping]
fn health<T: ppio::IntoPing + Default>() -> T {
    T::default()
}

fn main() {}
