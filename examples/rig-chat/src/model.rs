//! The model that the environment variables select.

use ppio::Error;
use ppio_rig::rig::DynModel;
use ppio_rig::rig::http_client::ReqwestClient;
use ppio_rig::rig::operation::Completion;
use ppio_rig::rig::providers::openai::{OpenAIConfig, Route};

/// Returns the model at an endpoint with OpenAI's chat completions API.
pub(crate) fn from_env() -> Result<DynModel<Completion>, Error> {
    let variable = |name: &str, example: &str| {
        let value = std::env::var(name).ok().filter(|value| !value.is_empty());
        value.ok_or_else(|| Error::internal(format!("{name} is not set; example: {example}")))
    };
    let url = variable("OPENAI_BASE_URL", "https://api.openai.com/v1")?;
    let key = variable("OPENAI_API_KEY", "any text for a local server")?;
    let name = variable("OPENAI_MODEL", "gpt-4o-mini")?;
    // The call fails only if a provider is already installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::Client::builder().build();
    let http = http.map_err(|error| {
        Error::internal("cannot build the HTTP client; install `ca-certificates`")
            .with_source(error)
    })?;
    let endpoint = OpenAIConfig::new(key)
        .with_base_url(url)
        .with_route(Route::Chat)
        .connect(ReqwestClient::from(http));
    Ok(endpoint.completion(name).into())
}
