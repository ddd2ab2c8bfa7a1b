#[ppio::entrypoint]
async fn agent(request: &str) -> String {
    request.to_owned()
}
