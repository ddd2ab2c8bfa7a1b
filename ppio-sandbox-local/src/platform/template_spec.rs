//! Builds a template in-process, without the control plane's upload protocol.

use std::collections::BTreeMap;
use std::path::PathBuf;

use ppio_agent_protocol::{AgentConfig, TEMPLATE_METADATA_KEY};

use super::local_platform::LocalPlatform;
use crate::error::{Error, with_sources};
use crate::template::{BuildRequest, BuildSource, RequestedBuild, TemplateName, TemplateStep};

/// The directory of agents in a sandbox.
const APP: &str = "/app";

/// The content and the settings of a template to be built.
///
/// ```
/// use ppio_sandbox_local::TemplateSpec;
///
/// // A program that serves an agent, started with each sandbox.
/// let hello = TemplateSpec::new("hello").binary("target/release/hello");
/// // Files of a directory, with a start command of its own.
/// let python = TemplateSpec::new("assistant:v2")
///     .directory("agents/assistant")
///     .start_command("python /app/agent.py");
/// # drop((hello, python));
/// ```
#[derive(Debug, Clone)]
#[must_use = "nothing is built until it is passed to `LocalPlatform::build_template`"]
pub struct TemplateSpec {
    name: String,
    steps: Vec<TemplateStep>,
    start_command: Option<String>,
    ready_command: Option<String>,
    config: Option<AgentConfig>,
    cpu_count: u32,
    memory_mb: u32,
}

/// A template that was built.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BuiltTemplate {
    /// The template's id, which `create_session` and `POST /sandboxes` take.
    pub id: String,
    /// The template's name without a tag, which can be used in place of the id.
    pub name: String,
    /// The id of the build.
    pub build_id: String,
}

impl TemplateSpec {
    /// Creates the spec of a template with this name, `name` or `name:tag`. An existing template
    /// gets a new build.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            steps: Vec::new(),
            start_command: None,
            ready_command: None,
            config: None,
            cpu_count: 2,
            memory_mb: 1024,
        }
    }

    /// Puts a program into `/app` and starts it with each sandbox.
    pub fn binary(mut self, program: impl Into<PathBuf>) -> Self {
        let program = program.into();
        let name = program
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        // The path is relative to the working directory: as process groups, sandboxes have no
        // `/app` of their own.
        self.start_command = Some(format!("exec ./'{}'", name.replace('\'', r"'\''")));
        self.file(program, format!("{APP}/{name}"))
    }

    /// Puts the content of a directory into `/app`.
    pub fn directory(self, directory: impl Into<PathBuf>) -> Self {
        self.file(directory, APP)
    }

    /// Puts a file, or the content of a directory, at `target` in the sandbox.
    pub fn file(mut self, source: impl Into<PathBuf>, target: impl Into<String>) -> Self {
        self.steps.push(TemplateStep::Add {
            source: source.into(),
            target: target.into(),
        });
        self
    }

    /// Runs a shell command in the sandbox of the build.
    pub fn run(mut self, command: impl Into<String>) -> Self {
        self.steps.push(TemplateStep::Run {
            command: command.into(),
            user: None,
        });
        self
    }

    /// Sets a variable for every process of the template's sandboxes.
    pub fn variable(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.steps.push(TemplateStep::Environment {
            variables: vec![(name.into(), value.into())],
        });
        self
    }

    /// Sets the command that runs with each sandbox, in a shell. Its working directory is `/app`.
    pub fn start_command(mut self, command: impl Into<String>) -> Self {
        self.start_command = Some(command.into());
        self
    }

    /// Sets a command that succeeds once the start command is ready. Without one a sandbox is ready
    /// immediately, and the first request waits for the agent to open its port.
    pub fn ready_command(mut self, command: impl Into<String>) -> Self {
        self.ready_command = Some(command.into());
        self
    }

    /// Sets the agent's configuration, which callers read from the template's metadata. Without
    /// one, an `agent.yaml` or `agent.yml` in `/app` is used.
    pub fn config(mut self, config: AgentConfig) -> Self {
        self.config = Some(config);
        self
    }

    /// Sets how many processors a sandbox may use. Default: 2; 0 counts as 1.
    pub fn cpu_count(mut self, count: u32) -> Self {
        self.cpu_count = count;
        self
    }

    /// Sets how much memory a sandbox may use, in MiB. Default: 1024; 0 counts as 1.
    pub fn memory_mb(mut self, megabytes: u32) -> Self {
        self.memory_mb = megabytes;
        self
    }
}

impl LocalPlatform {
    /// Builds a template and waits until sandboxes can be created from the template.
    ///
    /// # Errors
    ///
    /// [`Error::Build`] when the name cannot be used, when a step or the trial of the start command
    /// fails, or when the template is deleted or the platform ends meanwhile.
    pub async fn build_template(&self, spec: TemplateSpec) -> Result<BuiltTemplate, Error> {
        self.build_template_with(spec, |_| {}).await
    }

    /// Builds a template and calls `on_log` with each line of the build's log as it is written.
    ///
    /// # Errors
    ///
    /// As [`LocalPlatform::build_template`].
    pub async fn build_template_with(
        &self,
        spec: TemplateSpec,
        mut on_log: impl FnMut(&str),
    ) -> Result<BuiltTemplate, Error> {
        let failed = |reason: String| Error::Build {
            name: spec.name.clone(),
            reason,
        };
        let name = TemplateName::parse(&spec.name).map_err(|error| failed(with_sources(&error)))?;
        let mut metadata = BTreeMap::new();
        if let Some(config) = &spec.config {
            let document = config
                .to_json()
                .map_err(|error| failed(with_sources(&error)))?;
            metadata.insert(TEMPLATE_METADATA_KEY.to_owned(), document);
        }
        let new = RequestedBuild {
            name: name.name,
            tags: vec![name.tag.unwrap_or_else(|| "default".into())],
            cpu_count: spec.cpu_count.max(1),
            memory_mb: spec.memory_mb.max(1),
            metadata: BTreeMap::new(),
            snapshot_of: None,
        };
        let (record, build_id) = self
            .shared
            .templates
            .add_build(new)
            .map_err(|error| failed(with_sources(&error)))?;
        let mut steps = vec![TemplateStep::Directory { path: APP.into() }];
        steps.extend(spec.steps.iter().cloned());
        let request = BuildRequest {
            source: BuildSource::Host { image: None },
            steps,
            start_command: spec.start_command.clone(),
            ready_command: spec.ready_command.clone(),
            metadata,
        };
        let builder = &self.shared.builder;
        builder
            .start(&record.id, &build_id, request)
            .map_err(|error| failed(with_sources(&error)))?;
        builder.finished(&build_id, &mut on_log).await;
        match self
            .shared
            .templates
            .find(&record.id)
            .and_then(|record| record.build(&build_id).cloned())
        {
            Some(build) if build.failure.is_none() => Ok(BuiltTemplate {
                id: record.id,
                name: record.name,
                build_id,
            }),
            Some(build) => Err(failed(
                build
                    .failure
                    .map(|failure| failure.message)
                    .unwrap_or_default(),
            )),
            None => Err(failed("the template was deleted meanwhile".into())),
        }
    }
}
