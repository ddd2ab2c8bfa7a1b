use ppio::Value;

#[ppio::entrypoint]
fn agent(request: Value) -> Value
where
    Value: Clone,
{
    request
}
