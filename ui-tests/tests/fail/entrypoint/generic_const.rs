use ppio::Value;

#[ppio::entrypoint]
fn agent<const N: usize>(_request: Value) -> usize {
    N
}
