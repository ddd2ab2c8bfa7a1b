#[derive(serde::Deserialize)]
struct Question<'a> {
    prompt: &'a str,
}

#[ppio::entrypoint]
async fn agent(question: Question<'_>) -> String {
    question.prompt.to_owned()
}
