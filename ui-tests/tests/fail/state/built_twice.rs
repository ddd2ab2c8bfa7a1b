use ppio::{State, Value};

struct Pool;

#[ppio::startup]
async fn first() -> Pool {
    Pool
}

#[ppio::startup]
async fn second() -> Result<Pool, String> {
    Ok(Pool)
}

#[ppio::entrypoint]
async fn agent(request: Value, _pool: State<Pool>) -> Value {
    request
}
