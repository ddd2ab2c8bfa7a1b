use ppio::Value;

#[ppio::entrypoint]
unsafe fn agent(request: Value) -> Value {
    request
}
