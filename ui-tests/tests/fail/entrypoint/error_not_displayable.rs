use ppio::Value;

#[derive(Debug)]
struct Refused;

#[ppio::entrypoint]
async fn agent(_request: Value) -> Result<Value, Refused> {
    Err(Refused)
}
