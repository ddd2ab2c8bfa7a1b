use ppio::Value;

#[derive(Debug)]
struct Refused;

#[ppio::entrypoint]
fn agent(request: Value) -> impl Iterator<Item = Result<Value, Refused>> {
    [Ok(request), Err(Refused)].into_iter()
}
