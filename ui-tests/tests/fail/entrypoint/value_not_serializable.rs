use ppio::Value;

struct Answer(String);

#[ppio::entrypoint]
async fn agent(request: Value) -> Answer {
    Answer(request.to_string())
}
