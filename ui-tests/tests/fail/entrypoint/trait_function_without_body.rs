use ppio::Value;

trait Service {
    #[ppio::entrypoint]
    fn agent(request: Value) -> Value;
}

fn main() {}
