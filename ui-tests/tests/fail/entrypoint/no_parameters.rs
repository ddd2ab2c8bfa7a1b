#[ppio::entrypoint]
async fn agent() -> String {
    "hello".to_owned()
}
