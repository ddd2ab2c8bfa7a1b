struct Question {
    prompt: String,
}

#[ppio::entrypoint]
async fn agent(question: Question) -> String {
    question.prompt
}
