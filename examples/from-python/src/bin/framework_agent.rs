//! An agent that another library builds, created once and called for every request.

use ppio::{State, Value, json};

#[ppio::startup]
fn create_workflow() -> Workflow {
    let steps: [fn(&str) -> String; 2] = [str::to_uppercase, |text| format!("{text}!")];
    Workflow(steps.to_vec())
}

#[ppio::entrypoint]
async fn framework_agent(request: Value, agent: State<Workflow>) -> Value {
    let query = request["query"].as_str().unwrap_or_default();

    let result = agent.invoke(query).await;

    json!({
        "response": result.output,
        "metadata": { "agent_type": "workflow", "steps": result.steps.len() },
    })
}

// Not shown in docs/python.md.

/// Stands for the agent of a library: each step makes a text from the last one.
struct Workflow(Vec<fn(&str) -> String>);

struct WorkflowResult {
    output: String,
    steps: Vec<String>,
}

impl Workflow {
    async fn invoke(&self, input: &str) -> WorkflowResult {
        let mut steps: Vec<String> = Vec::new();
        for step in &self.0 {
            steps.push(step(steps.last().map_or(input, String::as_str)));
        }
        WorkflowResult {
            output: steps.last().cloned().unwrap_or_default(),
            steps,
        }
    }
}
