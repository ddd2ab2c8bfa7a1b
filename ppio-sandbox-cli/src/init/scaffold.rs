//! The files of a new project, created from `templates/`.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use clap::ValueEnum as _;
use ppio_agent_protocol::{AgentName, AuthorEmail, Entrypoint, yaml};

use crate::arguments::ProjectTemplate;
use crate::error::{CliError, ExitKind};
use crate::init::workspace::WorkspaceMembership;
use crate::project::secrets;

/// The decisions about a new project.
#[derive(Debug)]
pub(crate) struct Scaffold {
    pub(crate) name: AgentName,
    pub(crate) author: AuthorEmail,
    pub(crate) entrypoint: Entrypoint,
    pub(crate) template: ProjectTemplate,
    /// The source of the dependency on the runtime.
    pub(crate) runtime: RuntimeSource,
    /// The cargo workspace above the project.
    pub(super) workspace: WorkspaceMembership,
}

/// The source of the crate `ppio-agent`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RuntimeSource {
    /// The registry, with any version that is compatible with the version of this program.
    Registry,
    /// The checkout that this program was built from, if it exists, so that unreleased changes can
    /// be tried. A program from the registry has no checkout.
    Checkout(PathBuf),
}

/// A file of a project, its path relative to the project.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ProjectFile {
    pub(crate) path: PathBuf,
    pub(crate) text: String,
}

macro_rules! template {
    ($path:literal) => {
        include_str!(concat!("../../templates/", $path))
    };
}

const SETTINGS: &str = "\nSet `OPENAI_BASE_URL`, `OPENAI_API_KEY` and `OPENAI_MODEL` before `agent dev`, and pass them to the
sandboxes with `agent deploy --env OPENAI_BASE_URL --env OPENAI_API_KEY --env OPENAI_MODEL`.
";

/// The profile of a package that is the root of its workspace. The program, and the memory it takes
/// when idle, is a fifth smaller than with cargo's defaults; a build takes a few seconds longer.
const PROFILE: &str = "\n[profile.release]\nlto = \"fat\"\ncodegen-units = 1\nstrip = true\n";
const OWN_WORKSPACE: &str = "\n# A workspace of its own. Remove this section to join the workspace of a folder above.\n[workspace]\n";

impl RuntimeSource {
    pub(crate) fn detect() -> Self {
        let checkout = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../ppio-agent"));
        match checkout.canonicalize() {
            Ok(checkout) if checkout.join("Cargo.toml").is_file() => Self::Checkout(checkout),
            _ => Self::Registry,
        }
    }

    /// Returns where cargo finds the runtime, as a key and a value.
    fn source(&self) -> (&'static str, String) {
        match self {
            // `0.1` for `0.1.3`: every compatible version.
            Self::Registry => (
                "version",
                format!(
                    "\"{}.{}\"",
                    env!("CARGO_PKG_VERSION_MAJOR"),
                    env!("CARGO_PKG_VERSION_MINOR")
                ),
            ),
            Self::Checkout(path) => ("path", basic_string(&path.to_string_lossy())),
        }
    }

    fn dependency(&self) -> String {
        match self.source() {
            ("version", version) => version,
            (key, value) => format!("{{ {key} = {value} }}"),
        }
    }

    fn dependency_with_protocols(&self) -> String {
        let (key, value) = self.source();
        format!("{{ {key} = {value}, features = [\"protocols\"] }}")
    }
}

impl Scaffold {
    /// Returns the name of the cargo package, whose rules are stricter than those for the names of
    /// agents.
    pub(crate) fn package(&self) -> String {
        const TAKEN: &[&str] = &[
            "abstract",
            "alloc",
            "as",
            "async",
            "await",
            "become",
            "box",
            "break",
            "build",
            "const",
            "continue",
            "core",
            "crate",
            "deps",
            "do",
            "dyn",
            "else",
            "enum",
            "examples",
            "extern",
            "false",
            "final",
            "fn",
            "for",
            "gen",
            "if",
            "impl",
            "in",
            "incremental",
            "let",
            "loop",
            "macro",
            "match",
            "mod",
            "move",
            "mut",
            "override",
            "ppio",
            "ppio-agent",
            "priv",
            "proc-macro",
            "proc_macro",
            "pub",
            "ref",
            "return",
            "self",
            "static",
            "std",
            "struct",
            "super",
            "test",
            "trait",
            "true",
            "try",
            "type",
            "typeof",
            "unsafe",
            "unsized",
            "use",
            "virtual",
            "where",
            "while",
            "yield",
            // The dependencies of the templates.
            "async-openai",
            "futures-util",
            "rustls",
            "serde",
            "tokio",
        ];
        let name = self.name.as_str();
        if name.starts_with(|c: char| c.is_ascii_digit()) {
            format!("agent-{name}")
        } else if TAKEN.contains(&name) {
            format!("{name}-agent")
        } else {
            name.to_owned()
        }
    }

    /// Returns the files, in the order in which an author reads them.
    ///
    /// # Errors
    /// If the template does not exist for the language of the entrypoint.
    pub(crate) fn files(&self) -> Result<Vec<ProjectFile>, CliError> {
        let mut files = vec![self.file("agent.yaml", template!("rust/agent.yaml"))];
        if self.entrypoint.is_python() {
            let program = match self.template {
                ProjectTemplate::Hello => template!("python/hello.py"),
                ProjectTemplate::Stream => template!("python/stream.py"),
                ProjectTemplate::Chat | ProjectTemplate::LlmChat => {
                    let name = self.template.to_possible_value();
                    let name = name.as_ref().map_or("", |value| value.get_name());
                    let message = format!("the template {name} exists only for Rust");
                    return Err(CliError::new(ExitKind::Usage, message).help(
                        "use `--template hello` or `--template stream`, or leave out \
                         `--entrypoint`",
                    ));
                }
            };
            files.extend([
                self.file(self.entrypoint.as_str(), program),
                self.file("requirements.txt", template!("python/requirements.txt")),
                self.file("Dockerfile", template!("python/Dockerfile")),
                self.file(".dockerignore", template!("python/dockerignore")),
                self.file(".gitignore", template!("python/gitignore")),
                self.file("README.md", template!("python/README.md")),
            ]);
        } else {
            let (manifest, program) = match self.template {
                ProjectTemplate::Hello => {
                    (template!("hello/manifest.toml"), template!("hello/main.rs"))
                }
                ProjectTemplate::Stream => (
                    template!("stream/manifest.toml"),
                    template!("stream/main.rs"),
                ),
                ProjectTemplate::Chat => {
                    (template!("chat/manifest.toml"), template!("chat/main.rs"))
                }
                ProjectTemplate::LlmChat => (
                    template!("llm-chat/manifest.toml"),
                    template!("llm-chat/main.rs"),
                ),
            };
            files.extend([
                self.file("Cargo.toml", manifest),
                self.file(self.entrypoint.as_str(), program),
                self.file("Dockerfile", template!("rust/Dockerfile")),
                self.file(".dockerignore", template!("rust/dockerignore")),
                self.file(".gitignore", template!("rust/gitignore")),
                self.file("README.md", template!("rust/README.md")),
            ]);
        }
        Ok(files)
    }

    fn file(&self, path: &str, template: &str) -> ProjectFile {
        let program = if self.entrypoint.as_str() == "src/main.rs" {
            String::new()
        } else {
            format!(
                "\n[[bin]]\nname = \"{}\"\npath = \"{}\"\n",
                self.package(),
                self.entrypoint.as_str()
            )
        };
        // Cargo reads profiles only from the root of a workspace.
        let root = match self.workspace {
            WorkspaceMembership::Member(_) => String::new(),
            WorkspaceMembership::None => PROFILE.to_owned(),
            WorkspaceMembership::Unlisted => format!("{PROFILE}{OWN_WORKSPACE}"),
        };
        let settings = if self.template == ProjectTemplate::LlmChat {
            SETTINGS
        } else {
            ""
        };
        // In agent.yaml, a value is unquoted only if every reader takes it as a string: an agent
        // may be named `no`.
        let in_yaml = |value: &str| match path {
            "agent.yaml" => yaml::scalar(value),
            _ => value.to_owned(),
        };
        let created = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
        let mut text = template.to_owned();
        for (placeholder, value) in [
            ("{{name}}", &in_yaml(self.name.as_str())),
            ("{{package}}", &self.package()),
            ("{{author}}", &in_yaml(self.author.as_str())),
            ("{{entrypoint}}", &in_yaml(self.entrypoint.as_str())),
            ("{{created}}", &created),
            ("{{ppio-agent}}", &self.runtime.dependency()),
            (
                "{{ppio-agent with protocols}}",
                &self.runtime.dependency_with_protocols(),
            ),
            // These placeholders stand for whole lines.
            ("{{program}}\n", &line(&program)),
            ("{{root}}\n", &root),
            ("{{settings}}\n", &line(settings)),
            ("{{secrets}}\n", &secrets::docker_ignore_lines()),
        ] {
            text = text.replace(placeholder, value);
        }
        ProjectFile {
            path: path.into(),
            text,
        }
    }
}

/// Returns the text with a blank line at its end, which separates paragraphs.
fn line(text: &str) -> String {
    if text.is_empty() {
        "\n".to_owned()
    } else {
        format!("{text}\n")
    }
}

/// Formats a text as a TOML basic string.
fn basic_string(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => {
                let escaped = format!("\\u{:04X}", u32::from(c));
                quoted.push_str(&escaped);
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use ppio_agent_protocol::AgentConfig;

    use super::*;

    fn scaffold(name: &str, entrypoint: &str, template: ProjectTemplate) -> Scaffold {
        Scaffold {
            name: name.parse().unwrap(),
            author: "o'neil+x@example.com".parse().unwrap(),
            entrypoint: entrypoint.parse().unwrap(),
            template,
            runtime: RuntimeSource::Registry,
            workspace: WorkspaceMembership::None,
        }
    }

    fn text<'a>(files: &'a [ProjectFile], path: &str) -> &'a str {
        let file = files.iter().find(|file| file.path == Path::new(path));
        &file.unwrap_or_else(|| panic!("no {path}")).text
    }

    #[test]
    fn every_template_is_a_valid_project() {
        use ProjectTemplate::{Chat, Hello, LlmChat, Stream};
        for (entrypoint, template) in [
            ("src/main.rs", Hello),
            ("src/main.rs", Stream),
            ("src/main.rs", Chat),
            ("src/main.rs", LlmChat),
            ("agent.rs", Hello),
            ("agent.py", Hello),
            ("src/app.py", Stream),
        ] {
            let files = scaffold("my-agent", entrypoint, template).files().unwrap();
            for file in &files {
                assert!(!file.text.contains("{{"), "{file:?}");
                let is_python = file.path.extension().is_some_and(|kind| kind == "py");
                assert!(is_python || !file.text.contains("\n\n\n"), "{file:?}");
                assert!(
                    file.text.ends_with('\n') && !file.text.ends_with("\n\n"),
                    "{file:?}"
                );
            }
            let config = AgentConfig::from_yaml(text(&files, "agent.yaml")).unwrap();
            assert_eq!(config.metadata.author.as_str(), "o'neil+x@example.com");
            assert_eq!(config.spec.entrypoint.unwrap().as_str(), entrypoint);
            text(&files, entrypoint);
        }
        for template in [Chat, LlmChat] {
            let in_python = scaffold("my-agent", "agent.py", template).files();
            assert_eq!(in_python.unwrap_err().kind, ExitKind::Usage);
        }
    }

    #[test]
    fn the_chat_is_the_example() {
        let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/chat/src/main.rs");
        let example = std::fs::read_to_string(example).unwrap();
        // Each of the two programs has its own description.
        let code = |program: &str| {
            let lines = program.lines().skip_while(|line| line.starts_with("//!"));
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        let files = scaffold("my-agent", "src/main.rs", ProjectTemplate::Chat).files();
        assert_eq!(code(text(&files.unwrap(), "src/main.rs")), code(&example));
    }

    #[test]
    fn agent_yaml_has_quotes_where_a_reader_would_take_another_type() {
        for name in ["no", "null", "007", "2024-01-15", "1e3"] {
            let files = scaffold(name, "7.py", ProjectTemplate::Hello)
                .files()
                .unwrap();
            let yaml = text(&files, "agent.yaml");
            assert!(yaml.contains(&format!("\n  name: \"{name}\"\n")), "{yaml}");
            assert!(yaml.contains("\n  entrypoint: \"7.py\"\n"), "{yaml}");
            let config = AgentConfig::from_yaml(yaml).unwrap();
            assert_eq!(config.metadata.name.as_str(), name);
            assert!(text(&files, "README.md").starts_with(&format!("# {name}\n")));
        }
    }

    #[test]
    fn the_runtime_comes_from_the_registry_or_from_the_checkout() {
        let mut scaffold = scaffold("my-agent", "src/main.rs", ProjectTemplate::Hello);
        let files = scaffold.files().unwrap();
        assert!(text(&files, "Cargo.toml").contains("\nppio-agent = \"0.1\"\n"));
        scaffold.runtime = RuntimeSource::Checkout("/a \"b\"".into());
        let files = scaffold.files().unwrap();
        assert!(
            text(&files, "Cargo.toml").contains("\nppio-agent = { path = \"/a \\\"b\\\"\" }\n")
        );
        assert!(matches!(
            RuntimeSource::detect(),
            RuntimeSource::Checkout(_)
        ));
    }

    #[test]
    fn package_names_are_valid_for_cargo() {
        for (name, package) in [
            ("my-agent", "my-agent"),
            ("7-of-9", "agent-7-of-9"),
            ("test", "test-agent"),
            ("ppio-agent", "ppio-agent-agent"),
        ] {
            let scaffold = scaffold(name, "src/main.rs", ProjectTemplate::Hello);
            assert_eq!(scaffold.package(), package);
        }
    }
}
