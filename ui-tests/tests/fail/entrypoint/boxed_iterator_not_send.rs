use ppio::Value;

#[ppio::entrypoint]
fn agent(_request: Value) -> Box<dyn Iterator<Item = u32>> {
    Box::new(0..3)
}
