use std::rc::Rc;

#[derive(serde::Deserialize)]
#[serde(from = "String")]
struct Question(Rc<str>);

impl From<String> for Question {
    fn from(prompt: String) -> Self {
        Self(prompt.into())
    }
}

#[ppio::entrypoint]
async fn agent(question: Question) -> String {
    question.0.to_string()
}
