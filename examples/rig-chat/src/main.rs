//! An agent with tools, written with rig, that every protocol of the runtime can call.
//!
//! When the caller disconnects, the stream is dropped and the connection to the model is closed.

mod model;

use ppio::{ChatEvent, Error, InvocationRequest, State, Stream};
use ppio_rig::rig::agent::{Agent, AgentBuilder};
use ppio_rig::rig::rig_tool;
use ppio_rig::rig::tool::ToolExecutionError;

/// The articles of the shop: name, number in stock, price in cents.
const ARTICLES: [(&str, u32, u32); 3] = [
    ("green tea", 12, 450),
    ("black tea", 0, 390),
    ("teapot", 3, 2900),
];

fn article(name: &str) -> Result<(&str, u32, u32), ToolExecutionError> {
    let found = ARTICLES.into_iter().find(|(article, ..)| *article == name);
    found.ok_or_else(|| ToolExecutionError::not_found(format!("the shop does not sell `{name}`")))
}

/// A tool for the model. Its errors are sent to the model, which may try again.
#[rig_tool(
    description = "How many pieces of an article are in stock",
    params(name = "The name of the article, such as `green tea`")
)]
async fn stock(name: String) -> Result<u32, ToolExecutionError> {
    Ok(article(&name)?.1)
}

#[rig_tool(
    description = "The price of an article in cents",
    params(name = "The name of the article, such as `green tea`")
)]
async fn price(name: String) -> Result<u32, ToolExecutionError> {
    Ok(article(&name)?.2)
}

/// Builds the agent once, so that connections to the model are reused.
#[ppio::startup]
fn build() -> Result<Agent, Error> {
    Ok(AgentBuilder::new(model::from_env()?)
        .preamble("You advise the customers of a shop for tea. Look stock and prices up.")
        .tool(Stock)
        .tool(Price)
        .build())
}

/// Advises the customers of a shop for tea.
#[ppio::entrypoint]
async fn agent(
    request: InvocationRequest,
    agent: State<Agent>,
) -> Result<impl Stream<Item = Result<ChatEvent, Error>> + use<>, Error> {
    let run = ppio_rig::run(&agent, &request)?;
    Ok(ppio_rig::events(run.max_turns(8).stream()))
}
