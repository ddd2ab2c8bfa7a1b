//! The files of a new project, from `templates/`.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use ppio_agent_protocol::{AgentName, AuthorEmail, Entrypoint};

use crate::arguments::ProjectTemplate;
use crate::error::{Failure, Fault};
use crate::project::edit;
use crate::project::secrets;

/// A new project, decided.
#[derive(Debug)]
pub(crate) struct Scaffold {
    pub(crate) name: AgentName,
    pub(crate) author: AuthorEmail,
    pub(crate) entrypoint: Entrypoint,
    pub(crate) template: ProjectTemplate,
    /// Where the project depends on the runtime from.
    pub(crate) runtime: Runtime,
    /// Whether it stands below a cargo workspace, which would claim it.
    pub(crate) inside_workspace: bool,
}

/// Where the crate `ppio-agent` comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Runtime {
    /// The registry, in the version of this program.
    Registry,
    /// The checkout that this program was built from, as long as it is there: what was not released yet can be
    /// tried, and nobody who installed the program from the registry has one.
    Checkout(PathBuf),
}

/// A file of a project, its path relative to the project.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct File {
    pub(crate) path: PathBuf,
    pub(crate) text: String,
}

macro_rules! template {
    ($path:literal) => {
        include_str!(concat!("../../templates/", $path))
    };
}

const SETTINGS: &str = "\nIt needs `OPENAI_BASE_URL`, `OPENAI_API_KEY` and `OPENAI_MODEL`: set them before `agent dev`, and hand them to the
sandboxes with `agent deploy --env OPENAI_BASE_URL --env OPENAI_API_KEY --env OPENAI_MODEL`.
";

impl Runtime {
    pub(crate) fn detect() -> Self {
        let checkout = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../ppio-agent"));
        match checkout.canonicalize() {
            Ok(checkout) if checkout.join("Cargo.toml").is_file() => Self::Checkout(checkout),
            _ => Self::Registry,
        }
    }

    fn dependency(&self) -> String {
        match self {
            // `0.1` of `0.1.3`: what is compatible.
            Self::Registry => format!(
                "\"{}.{}\"",
                env!("CARGO_PKG_VERSION_MAJOR"),
                env!("CARGO_PKG_VERSION_MINOR")
            ),
            Self::Checkout(path) => {
                format!("{{ path = {} }}", basic_string(&path.to_string_lossy()))
            }
        }
    }
}

impl Scaffold {
    /// What cargo calls the package and its program. Its rules are stricter than those for agents.
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
            // What the templates depend on.
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

    /// The files, in the order in which they are to be read.
    pub(crate) fn files(&self) -> Result<Vec<File>, Failure> {
        let mut files = vec![self.file("agent.yaml", template!("rust/agent.yaml"))];
        if self.entrypoint.is_python() {
            let program = match self.template {
                ProjectTemplate::Hello => template!("python/hello.py"),
                ProjectTemplate::Stream => template!("python/stream.py"),
                ProjectTemplate::LlmChat => {
                    let what = "there is no Python project of the template llm-chat";
                    return Err(Failure::new(Fault::Usage, what)
                        .next("use `--template hello` or `--template stream`, or leave out `--entrypoint`"));
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

    fn file(&self, path: &str, template: &str) -> File {
        let program = if self.entrypoint.as_str() == "src/main.rs" {
            String::new()
        } else {
            format!(
                "\n[[bin]]\nname = \"{}\"\npath = \"{}\"\n",
                self.package(),
                self.entrypoint.as_str()
            )
        };
        let workspace = if self.inside_workspace {
            "\n# A workspace of its own. Remove this to join the one that it stands in.\n[workspace]\n"
        } else {
            ""
        };
        let settings = if self.template == ProjectTemplate::LlmChat {
            SETTINGS
        } else {
            ""
        };
        let created = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
        let mut text = template.to_owned();
        for (place, value) in [
            ("{{name}}", self.name.as_str()),
            ("{{package}}", &self.package()),
            ("{{author}}", &edit::scalar(self.author.as_str())),
            ("{{entrypoint}}", self.entrypoint.as_str()),
            ("{{created}}", &created),
            ("{{ppio-agent}}", &self.runtime.dependency()),
            // Lines of their own, which vanish where there is nothing to say.
            ("{{program}}\n", &line(&program)),
            ("{{workspace}}\n", workspace),
            ("{{settings}}\n", &line(settings)),
            ("{{secrets}}\n", &secrets::docker_ignore_lines()),
        ] {
            text = text.replace(place, value);
        }
        File {
            path: path.into(),
            text,
        }
    }
}

/// At least the blank line that stands between two paragraphs.
fn line(text: &str) -> String {
    if text.is_empty() {
        "\n".to_owned()
    } else {
        format!("{text}\n")
    }
}

/// A text as TOML writes it.
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
            runtime: Runtime::Registry,
            inside_workspace: false,
        }
    }

    fn text<'a>(files: &'a [File], path: &str) -> &'a str {
        let file = files.iter().find(|file| file.path == Path::new(path));
        &file.unwrap_or_else(|| panic!("no {path}")).text
    }

    #[test]
    fn every_template_is_a_valid_project_without_loose_ends() {
        use ProjectTemplate::{Hello, LlmChat, Stream};
        for (entrypoint, template) in [
            ("src/main.rs", Hello),
            ("src/main.rs", Stream),
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
        let llm_in_python = scaffold("my-agent", "agent.py", LlmChat).files();
        assert_eq!(llm_in_python.unwrap_err().fault, Fault::Usage);
    }

    #[test]
    fn the_runtime_comes_from_the_registry_or_from_the_checkout() {
        let mut scaffold = scaffold("my-agent", "src/main.rs", ProjectTemplate::Hello);
        let files = scaffold.files().unwrap();
        assert!(text(&files, "Cargo.toml").contains("\nppio-agent = \"0.1\"\n"));
        scaffold.runtime = Runtime::Checkout("/a \"b\"".into());
        let files = scaffold.files().unwrap();
        assert!(
            text(&files, "Cargo.toml").contains("\nppio-agent = { path = \"/a \\\"b\\\"\" }\n")
        );
        assert!(matches!(Runtime::detect(), Runtime::Checkout(_)));
    }

    #[test]
    fn packages_get_names_that_cargo_takes() {
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
