#[ppio::entrypoint]
#[derive(serde::Deserialize)]
pub struct Agent {
    pub prompt: String,
}
