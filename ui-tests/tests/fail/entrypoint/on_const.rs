#[ppio::entrypoint]
const AGENT: fn(ppio::Value) -> ppio::Value = |request| request;
