#[ppio::entrypoint]
mod agent {
    pub fn agent(request: ppio::Value) -> ppio::Value {
        request
    }
}
