use ppio::Value;

#[ppio::entrypoint]
async fn agent(request: Value) -> Value {
    request
}

fn main() {}
