#[ppio::entrypoint]
async fn agent<T: serde::de::DeserializeOwned + serde::Serialize>(request: T) -> T {
    request
}
