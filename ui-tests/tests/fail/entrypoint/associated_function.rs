use ppio::Value;

struct Service;

impl Service {
    #[ppio::entrypoint]
    async fn agent(request: Value) -> Value {
        request
    }
}

fn main() {}
