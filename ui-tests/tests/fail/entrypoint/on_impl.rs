use ppio::Value;

struct Agent;

#[ppio::entrypoint]
impl Agent {
    fn agent(request: Value) -> Value {
        request
    }
}
