//! The packages of a Python project, and how a build installs them.

use std::fs;
use std::io;
use std::path::Path;

use toml::{Table, Value};

use crate::error::{CliError, ExitKind};

pub(super) const REQUIREMENTS: &str = "requirements.txt";
pub(super) const PYPROJECT: &str = "pyproject.toml";
pub(super) const SETUP: &str = "setup.py";

/// Lock files, which pip does not read, and the command that writes their versions into
/// requirements.txt.
const LOCK_FILES: [(&str, &str); 3] = [
    ("uv.lock", UV_EXPORT),
    ("poetry.lock", POETRY_EXPORT),
    ("pdm.lock", "pdm export --prod -o requirements.txt"),
];
const UV_EXPORT: &str = "uv export --no-dev --no-emit-project -o requirements.txt";
const POETRY_EXPORT: &str = "poetry export -o requirements.txt";

/// The command that installs the packages into the agent's folder, which Python searches first for
/// every user. The command needs no network if all packages are installed already, which a dry run
/// of pip checks.
const INSTALL_REQUIREMENTS: &str = "\
    lacks=$(python -m pip install --dry-run --no-index -r requirements.txt 2>/dev/null) && \
    case $lacks in *'Would install'*) false;; esac || \
    PIP_ROOT_USER_ACTION=ignore PIP_DISABLE_PIP_VERSION_CHECK=1 \
    python -m pip install --no-cache-dir --no-warn-conflicts --target /app -r requirements.txt";
/// The command that installs the project with its dependencies. Modules of the project that are
/// already in the agent's folder are kept.
const INSTALL_PROJECT: &str = "\
    PIP_ROOT_USER_ACTION=ignore PIP_DISABLE_PIP_VERSION_CHECK=1 \
    python -m pip install --no-cache-dir --no-warn-conflicts --target /app .";

/// The packages that a build installs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PythonPackages {
    None,
    /// The packages in requirements.txt.
    Requirements,
    /// The dependencies in pyproject.toml, in the syntax of requirements.txt. The project itself is
    /// not a package: it has no build system.
    Dependencies(Vec<String>),
    /// The project, which is a package, with its dependencies.
    Project,
}

impl PythonPackages {
    /// Finds the file that lists the packages: requirements.txt, otherwise pyproject.toml,
    /// otherwise setup.py.
    ///
    /// # Errors
    /// If pyproject.toml cannot be read or is not valid. If pyproject.toml lists the packages where
    /// pip does not read them, or only a Pipfile lists them and there is no pyproject.toml.
    pub(super) fn find(folder: &Path) -> Result<Self, CliError> {
        let exists = |name: &str| folder.join(name).is_file();
        if exists(REQUIREMENTS) {
            return Ok(Self::Requirements);
        }
        match fs::read_to_string(folder.join(PYPROJECT)) {
            Ok(text) => match Self::of_pyproject(&text)? {
                Self::None if exists(SETUP) => Ok(Self::Project),
                packages => Ok(packages),
            },
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(CliError::system(format!("cannot read {PYPROJECT}"), error))
            }
            Err(_) if exists(SETUP) => Ok(Self::Project),
            Err(_) if exists("Pipfile") => Err(unreadable_by_pip(
                "Pipfile",
                "pipenv requirements > requirements.txt",
            )),
            Err(_) => Ok(Self::None),
        }
    }

    fn of_pyproject(text: &str) -> Result<Self, CliError> {
        let file: Table = text.parse().map_err(|error: toml::de::Error| {
            let message = format!("{PYPROJECT} is not valid");
            CliError::new(ExitKind::Usage, message)
                .cause(error.to_string().trim_end().to_owned())
                .help(format!("correct {PYPROJECT}"))
        })?;
        let at = |path: &[&str]| find(&file, path);
        if at(&["tool", "uv", "sources"]).is_some_and(has_entries) {
            return Err(unreadable_by_pip("[tool.uv.sources]", UV_EXPORT));
        }
        if at(&["tool", "poetry", "package-mode"]) == Some(&Value::Boolean(false)) {
            return Err(unreadable_by_pip("[tool.poetry]", POETRY_EXPORT));
        }
        let dynamic = at(&["project", "dynamic"]).and_then(Value::as_array);
        let is_dynamic = dynamic.is_some_and(|fields| {
            let mut fields = fields.iter().filter_map(Value::as_str);
            fields.any(|field| field == "dependencies")
        });
        if at(&["build-system"]).is_some() || is_dynamic {
            return Ok(Self::Project);
        }
        if let Some(dependencies) = at(&["project", "dependencies"]).and_then(Value::as_array) {
            let lines = dependencies.iter().filter_map(Value::as_str);
            let lines: Vec<_> = lines.map(str::to_owned).collect();
            if !lines.is_empty() {
                return Ok(Self::Dependencies(lines));
            }
        }
        match at(&["tool", "poetry", "dependencies"]).and_then(Value::as_table) {
            Some(dependencies) if dependencies.keys().any(|name| name != "python") => {
                Err(unreadable_by_pip("[tool.poetry]", POETRY_EXPORT))
            }
            _ => Ok(Self::None),
        }
    }

    /// Returns the text of the requirements.txt that the build needs and the project does not have.
    pub(super) fn generated_requirements(&self) -> Option<String> {
        match self {
            Self::Dependencies(lines) => Some(format!("{}\n", lines.join("\n"))),
            Self::None | Self::Requirements | Self::Project => None,
        }
    }

    /// Returns the command of the build step that installs the packages.
    pub(super) fn install_command(&self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Requirements | Self::Dependencies(_) => Some(INSTALL_REQUIREMENTS),
            Self::Project => Some(INSTALL_PROJECT),
        }
    }

    /// Returns the files of which the build needs at least one.
    pub(super) fn needed_files(&self) -> &'static [&'static str] {
        match self {
            Self::None => &[],
            Self::Requirements | Self::Dependencies(_) => &[REQUIREMENTS],
            Self::Project => &[PYPROJECT, SETUP],
        }
    }

    /// Returns a warning if the project has a lock file, whose versions are not used. Returns
    /// `None` for requirements.txt, which may have been written from a lock file.
    pub(super) fn lock_warning(&self, folder: &Path) -> Option<String> {
        if !matches!(self, Self::Dependencies(_) | Self::Project) {
            return None;
        }
        let mut locks = LOCK_FILES.iter();
        let (name, export) = locks.find(|(name, _)| folder.join(name).is_file())?;
        Some(format!(
            "{name} is not read: the build installs the newest versions that {PYPROJECT} allows; \
             for the locked ones run `{export}` and deploy again"
        ))
    }
}

fn find<'a>(table: &'a Table, path: &[&str]) -> Option<&'a Value> {
    let (last, tables) = path.split_last()?;
    let mut table = table;
    for name in tables {
        table = table.get(*name)?.as_table()?;
    }
    table.get(*last)
}

fn has_entries(value: &Value) -> bool {
    value.as_table().is_some_and(|table| !table.is_empty())
}

/// Returns the error for packages that are listed where pip does not read them.
fn unreadable_by_pip(place: &str, export: &str) -> CliError {
    let message = format!("pip does not read {place}, so the agent's packages would be missing");
    CliError::new(ExitKind::Usage, message)
        .help(format!("write {REQUIREMENTS}, as with `{export}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_packages_are_found_or_refused() {
        let lines = |lines: &[&str]| {
            let lines = lines.iter().map(|&line| line.to_owned());
            Ok(PythonPackages::Dependencies(lines.collect()))
        };
        let project = || Ok(PythonPackages::Project);
        let none = || Ok(PythonPackages::None);
        let build = "[build-system]\nrequires = []\n";
        for (files, expected) in [
            (&[][..], none()),
            (
                &[("requirements.txt", "")],
                Ok(PythonPackages::Requirements),
            ),
            (
                &[("requirements.txt", ""), ("pyproject.toml", "not toml")],
                Ok(PythonPackages::Requirements),
            ),
            (&[("pyproject.toml", "[tool.black]\n")], none()),
            (&[("pyproject.toml", "[project]\nname = 'a'")], none()),
            (
                &[(
                    "pyproject.toml",
                    "[project]\ndependencies = ['a', 'b>=1; python_version>\"3\"']",
                )],
                lines(&["a", "b>=1; python_version>\"3\""]),
            ),
            (
                &[("pyproject.toml", "[project]\ndynamic = ['dependencies']")],
                project(),
            ),
            (&[("pyproject.toml", build)], project()),
            (&[("setup.py", "")], project()),
            (
                &[("setup.py", ""), ("pyproject.toml", "[tool.ruff]")],
                project(),
            ),
            (&[("pyproject.toml", "[tool.uv.sources]")], none()),
            (
                &[("pyproject.toml", "[tool.uv.sources]\na = { path = '../a' }")],
                Err("uv export"),
            ),
            (
                &[(
                    "pyproject.toml",
                    "[tool.poetry]\npackage-mode = false\n[build-system]",
                )],
                Err("poetry export"),
            ),
            (
                &[(
                    "pyproject.toml",
                    "[tool.poetry.dependencies]\npython = '^3.11'\na = '1'",
                )],
                Err("poetry export"),
            ),
            (
                &[(
                    "pyproject.toml",
                    "[tool.poetry.dependencies]\npython = '^3.11'",
                )],
                none(),
            ),
            (
                &[("pyproject.toml", "[project")],
                Err("correct pyproject.toml"),
            ),
            (&[("Pipfile", "")], Err("pipenv requirements")),
        ] {
            let folder = tempfile::tempdir().unwrap();
            for (name, text) in files {
                fs::write(folder.path().join(name), text).unwrap();
            }
            match (PythonPackages::find(folder.path()), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{files:?}"),
                (Err(error), Err(help)) => {
                    assert_eq!(error.kind, ExitKind::Usage);
                    assert!(error.help.unwrap().contains(help), "{files:?}");
                }
                (found, _) => panic!("{files:?}: {found:?}"),
            }
        }
    }

    #[test]
    fn a_lock_file_that_is_not_read_is_reported() {
        let folder = tempfile::tempdir().unwrap();
        let warning = |packages: PythonPackages| packages.lock_warning(folder.path());
        assert_eq!(warning(PythonPackages::Project), None);
        fs::write(folder.path().join("uv.lock"), "").unwrap();
        let found = warning(PythonPackages::Project).unwrap();
        assert!(found.starts_with("uv.lock is not read") && found.contains("uv export"));
        assert_eq!(warning(PythonPackages::Requirements), None);
    }
}
