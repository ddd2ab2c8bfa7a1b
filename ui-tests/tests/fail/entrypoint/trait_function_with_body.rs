use ppio::Value;

trait Service {
    #[ppio::entrypoint]
    fn agent(request: Value) -> Value {
        request
    }
}

fn main() {}
