use ppio::Value;

struct Answer(String);

#[ppio::entrypoint]
fn agent(request: Value) -> Vec<Answer> {
    vec![Answer(request.to_string())]
}
