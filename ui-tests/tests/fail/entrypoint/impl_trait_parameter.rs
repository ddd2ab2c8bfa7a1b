#[ppio::entrypoint]
async fn agent(request: Vec<impl Into<String>>) -> String {
    request.into_iter().map(Into::into).collect()
}
