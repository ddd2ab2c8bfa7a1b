//! The tasks of the graph.

use async_trait::async_trait;
use graph_flow::{Context, GraphError, NextAction, Task, TaskResult};
use ppio::Error;
use ppio::http::StatusCode;
use ppio_rig::rig::DynModel;
use ppio_rig::rig::agent::{Agent, AgentBuilder};
use ppio_rig::rig::operation::Completion;

/// Writes a text about the topic, or improves the last one if there is a critique.
pub(crate) struct Draft(Agent);

impl Draft {
    pub(crate) fn new(model: &DynModel<Completion>) -> Self {
        Self(author(
            model,
            "Write a text of three sentences about the topic.",
        ))
    }
}

#[async_trait]
impl Task for Draft {
    fn id(&self) -> &'static str {
        "draft"
    }

    async fn run(&self, context: Context) -> graph_flow::Result<TaskResult> {
        let topic: String = context.get("topic").unwrap_or_default();
        let prompt = match (
            context.get::<String>("draft"),
            context.get::<String>("critique"),
        ) {
            (Some(draft), Some(critique)) => {
                format!("{topic}\n\nImprove this text: {draft}\n\nThe critique: {critique}")
            }
            _ => topic,
        };
        context.set("draft", ask(&self.0, prompt).await?)?;
        context.set(
            "drafts",
            context.get::<u32>("drafts").unwrap_or_default() + 1,
        )?;
        Ok(TaskResult::new(None, NextAction::Continue))
    }
}

/// Names the faults of the draft, if it has any.
pub(crate) struct Review(Agent);

impl Review {
    pub(crate) fn new(model: &DynModel<Completion>) -> Self {
        let task = "Say in one sentence what is wrong with the text, or answer OK.";
        Self(author(model, task))
    }
}

#[async_trait]
impl Task for Review {
    fn id(&self) -> &'static str {
        "review"
    }

    async fn run(&self, context: Context) -> graph_flow::Result<TaskResult> {
        let draft: String = context.get("draft").unwrap_or_default();
        let critique = ask(&self.0, draft).await?;
        if critique.trim_end_matches('.') == "OK" {
            context.remove("critique");
        } else {
            context.set("critique", critique)?;
        }
        Ok(TaskResult::new(None, NextAction::Continue))
    }
}

/// Ends the graph and returns the draft.
pub(crate) struct Publish;

#[async_trait]
impl Task for Publish {
    fn id(&self) -> &'static str {
        "publish"
    }

    async fn run(&self, context: Context) -> graph_flow::Result<TaskResult> {
        Ok(TaskResult::new(context.get("draft"), NextAction::End))
    }
}

fn author(model: &DynModel<Completion>, task: &str) -> Agent {
    AgentBuilder::new(model.clone()).preamble(task).build()
}

/// Returns the model's answer. The graph keeps only an error's text, which names what to check.
async fn ask(agent: &Agent, prompt: String) -> graph_flow::Result<String> {
    let answer = agent.prompt(prompt).await.map_err(ppio_rig::error);
    let answer = answer.map_err(|error| {
        tracing::warn!(error = &error as &dyn std::error::Error, "the model failed");
        GraphError::TaskExecutionFailed(error.message().to_owned())
    })?;
    Ok(answer.output())
}

/// Returns the error for the caller, with the text of a task's error. Other errors are only logged.
pub(crate) fn failed(error: GraphError) -> Error {
    match error {
        GraphError::TaskExecutionFailed(text) => {
            Error::new(StatusCode::BAD_GATEWAY, text).with_type("TaskFailed")
        }
        error => Error::internal("the graph failed").with_source(error),
    }
}
