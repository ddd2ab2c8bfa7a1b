use ppio::Value;

#[ppio::entrypoint]
async fn main(request: Value) -> Value {
    request
}
