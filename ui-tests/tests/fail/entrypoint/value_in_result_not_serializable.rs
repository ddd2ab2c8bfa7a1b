use ppio::Value;

struct Answer(String);

#[ppio::entrypoint]
fn agent(request: Value) -> Result<Answer, ppio::Error> {
    Ok(Answer(request.to_string()))
}
