//! A graph of tasks around a model, whose steps are visible in the stream.
//!
//! A draft is written, reviewed, rewritten if the review requires it, and published.

mod model;
mod tasks;

use std::sync::Arc;

use graph_flow::{ExecutionStatus, Graph, GraphBuilder, Session};
use ppio::{ChatEvent, Error, InvocationRequest, RequestContext, State, Stream, try_stream};

use crate::tasks::{Draft, Publish, Review};

/// The number of drafts after which a text is published even if the review still finds fault.
const MAX_DRAFTS: u32 = 3;

/// Builds the graph, once: it has no state of its own.
#[ppio::startup]
fn build() -> Result<Graph, Error> {
    let model = model::from_env()?;
    let is_accepted = |context: &graph_flow::Context| {
        context.get::<String>("critique").is_none()
            || context.get::<u32>("drafts").unwrap_or_default() >= MAX_DRAFTS
    };
    let graph = GraphBuilder::new("article")
        .add_task(Arc::new(Draft::new(&model)))
        .add_task(Arc::new(Review::new(&model)))
        .add_task(Arc::new(Publish))
        .add_edge("draft", "review")
        .add_conditional_edge("review", is_accepted, "publish", "draft")
        .set_start_task("draft")
        .build();
    graph.map_err(|error| Error::internal("the graph is not valid").with_source(error))
}

/// Writes a short text about a topic, and reviews it before it is published.
#[ppio::entrypoint]
async fn agent(
    request: InvocationRequest,
    graph: State<Graph>,
    context: RequestContext,
) -> Result<impl Stream<Item = Result<ChatEvent, Error>> + use<>, Error> {
    let topic = request.prompt.filter(|topic| !topic.trim().is_empty());
    let topic = topic.ok_or_else(|| Error::bad_request("`prompt` is empty; send a topic"))?;
    // The state of this run, which the tasks read and write.
    let mut session = Session::new_from_task(context.request_id().to_owned(), "draft");
    session.context.set("topic", topic).map_err(tasks::failed)?;
    Ok(try_stream! {
        loop {
            let step = session.current_task_id.clone();
            yield ChatEvent::StepStart { name: step.clone() };
            let done = graph.execute_session(&mut session).await.map_err(tasks::failed)?;
            // A front end can show the critique as progress.
            if let Some(critique) = session.context.get::<String>("critique") {
                yield ChatEvent::data("critique", critique);
            }
            yield ChatEvent::StepEnd { name: step };
            if matches!(done.status, ExecutionStatus::Completed) {
                yield ChatEvent::text(done.response.unwrap_or_default());
                break;
            }
        }
    })
}
