use ppio::Value;

#[ppio::entrypoint]
const fn agent(request: Value) -> Value {
    request
}
