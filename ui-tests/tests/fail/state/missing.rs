use ppio::{State, Value};

struct Pool;

#[ppio::entrypoint]
async fn agent(request: Value, _pool: State<Pool>) -> Value {
    request
}
