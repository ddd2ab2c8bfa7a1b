//! The requirements of the interoperation tests: the published Python and JavaScript packages, kept
//! in the target directory until their list changes, and a browser.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::step::Step;
use crate::workspace;

/// The variable with the Python interpreter that has `tests/interop/requirements.txt` installed.
pub(crate) const PYTHON: &str = "PPIO_INTEROP_PYTHON";
/// The variable with the Python interpreter that has the published agent client.
pub(crate) const AGENT_CLIENT_PYTHON: &str = "PPIO_INTEROP_AGENT_CLIENT_PYTHON";
/// The variable with the `node_modules` folder of `tests/interop/package-lock.json`.
pub(crate) const NODE_MODULES: &str = "PPIO_INTEROP_NODE_MODULES";
/// The variable with the Python interpreter that has the clients of the protocols.
pub(crate) const PROTOCOLS_PYTHON: &str = "PPIO_INTEROP_PROTOCOLS_PYTHON";
/// The variable with the `node_modules` folder that has the clients of the protocols.
pub(crate) const PROTOCOLS_NODE_MODULES: &str = "PPIO_INTEROP_PROTOCOLS_NODE_MODULES";
/// The variable with the path of Chromium.
pub(crate) const BROWSER: &str = "PPIO_INTEROP_BROWSER";

const PYTHON_HELP: &str = "install Python 3.11 or later with its venv module \
     (on Debian: apt-get install python3 python3-venv), or run with --no-interop";
const NODE_HELP: &str = "install Node.js 20 or later with npm, or run with --no-interop";
const BROWSER_HELP: &str = "install Chromium or Chrome (on Debian: apt-get install chromium), \
     set PPIO_INTEROP_BROWSER to its path, or run with --no-interop";
/// The lock file of npm, written by
/// `npm install --package-lock-only --omit-lockfile-registry-resolved`.
const LOCK: &str = "package-lock.json";
/// The folder with the npm package list of the interoperation tests.
const NODE_LISTS: &str = "tests/interop";
/// The folder with the npm package list of the protocol tests.
const PROTOCOLS_NODE_LISTS: &str = "tests/protocols/interop";
/// The program names of Chromium and Chrome.
const BROWSERS: [&str; 4] = [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
];

/// The paths that are passed to the tests.
pub(crate) struct Packages {
    pub(crate) python: PathBuf,
    pub(crate) agent_client_python: PathBuf,
    pub(crate) node_modules: PathBuf,
    pub(crate) protocols_python: PathBuf,
    pub(crate) protocols_node_modules: PathBuf,
    pub(crate) browser: PathBuf,
}

/// Returns the browser that [`BROWSER`] names, or else the first installed browser.
pub(crate) fn browser() -> Result<PathBuf, Error> {
    if let Some(named) = env::var_os(BROWSER).filter(|named| !named.is_empty()) {
        return Ok(named.into());
    }
    let installed = BROWSERS.iter().find_map(|name| workspace::program(name));
    installed.ok_or_else(|| {
        format!("the interoperation tests: cannot find Chromium or Chrome\nhelp: {BROWSER_HELP}")
    })
}

/// Installs all packages that are not installed yet, and finds the browser.
pub(crate) fn fetch() -> Result<Packages, Error> {
    Ok(Packages {
        python: python()?,
        agent_client_python: agent_client_python()?,
        node_modules: node_modules(NODE_LISTS, "node")?,
        protocols_python: virtual_environment("protocols-requirements.txt", "protocols-python")?,
        protocols_node_modules: node_modules(PROTOCOLS_NODE_LISTS, "protocols")?,
        browser: browser()?,
    })
}

/// Returns the Python interpreter of a virtual environment that has
/// `tests/interop/requirements.txt` installed.
pub(crate) fn python() -> Result<PathBuf, Error> {
    virtual_environment("requirements.txt", "python")
}

/// Returns the Python interpreter of a virtual environment with an `AgentRuntimeClient` that can
/// create sessions.
pub(crate) fn agent_client_python() -> Result<PathBuf, Error> {
    virtual_environment("agent-client-requirements.txt", "agent-client-python")
}

fn virtual_environment(requirements: &str, folder: &str) -> Result<PathBuf, Error> {
    let requirements = workspace::root().join("tests/interop").join(requirements);
    let environment = workspace::target().join("interop").join(folder);
    let python = environment.join("bin/python");
    let stamp = Stamp::new(&requirements, &environment)?;
    if stamp.is_current() && python.exists() {
        return Ok(python);
    }

    Step::new("Python virtual environment", "python3")
        .args(["-m", "venv", "--clear"])
        .args([&environment])
        .install_help(PYTHON_HELP)
        .run()
        .map_err(|error| format!("{error}\nhelp: if the venv module is missing, {PYTHON_HELP}"))?;
    Step::new("Python packages", &python)
        .args(["-m", "pip", "install", "--quiet", "--no-input"])
        // Building a package would fetch build dependencies, for which there are no hashes here.
        .args(["--disable-pip-version-check", "--only-binary", ":all:"])
        .args(["--require-hashes", "--requirement"])
        .args([&requirements])
        .run()?;
    stamp.write()?;
    Ok(python)
}

/// Returns the `node_modules` folder with the packages of a folder's `package-lock.json`.
fn node_modules(lists: &str, folder: &str) -> Result<PathBuf, Error> {
    let lists = workspace::root().join(lists);
    let folder = workspace::target().join("interop").join(folder);
    let modules = folder.join("node_modules");
    let stamp = Stamp::new(&lists.join(LOCK), &folder)?;
    if stamp.is_current() && modules.exists() {
        return Ok(modules);
    }

    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(|error| cannot("remove", &folder, &error))?;
    }
    fs::create_dir_all(&folder).map_err(|error| cannot("create", &folder, &error))?;
    for name in ["package.json", LOCK] {
        let copy = folder.join(name);
        fs::copy(lists.join(name), &copy).map_err(|error| cannot("write", &copy, &error))?;
    }
    // Installs the versions of the lock file, checks their hashes, and runs no scripts of packages.
    Step::new("npm packages", "npm")
        .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
        .args(["--loglevel", "error", "--prefix"])
        .args([&folder])
        .install_help(NODE_HELP)
        .run()?;
    stamp.write()?;
    Ok(modules)
}

/// Records the list of packages from which a folder was installed. Written last, so that an
/// interrupted installation is repeated.
struct Stamp {
    wanted: String,
    path: PathBuf,
}

impl Stamp {
    fn new(list: &Path, folder: &Path) -> Result<Self, Error> {
        Ok(Self {
            wanted: fs::read_to_string(list).map_err(|error| cannot("read", list, &error))?,
            path: folder.join(".made-from"),
        })
    }

    fn is_current(&self) -> bool {
        fs::read_to_string(&self.path).is_ok_and(|made_from| made_from == self.wanted)
    }

    fn write(&self) -> Result<(), Error> {
        fs::write(&self.path, &self.wanted).map_err(|error| cannot("write", &self.path, &error))
    }
}

fn cannot(verb: &str, path: &Path, error: &std::io::Error) -> Error {
    format!("cannot {verb} {}: {error}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(name: &str) -> String {
        list_in(NODE_LISTS, name)
    }

    fn list_in(folder: &str, name: &str) -> String {
        let path = workspace::root().join(folder).join(name);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// Returns the entries of a list of Python packages, as `name==version`.
    fn pins(list: &str) -> Vec<&str> {
        let lines = list.lines().filter(|line| !line.starts_with([' ', '#']));
        lines
            .filter_map(|line| line.split_whitespace().next())
            .collect()
    }

    #[test]
    fn every_python_package_is_pinned_with_hashes() {
        for name in [
            "requirements",
            "agent-client-requirements",
            "protocols-requirements",
        ] {
            let (wanted, locked) = (list(&format!("{name}.in")), list(&format!("{name}.txt")));
            for pin in pins(&wanted) {
                assert!(pins(&locked).contains(&pin), "{name}.txt lacks {pin}");
            }
            for package in locked.lines().filter(|line| !line.starts_with([' ', '#'])) {
                let continues = package.is_empty() || package.ends_with('\\');
                assert!(continues, "no hash for {package}");
            }
            assert!(locked.contains("--hash=sha256:"));
            assert!(!locked.contains("://"), "{name}.txt names an index");
        }
    }

    #[test]
    fn every_npm_package_is_pinned_with_its_hash_and_no_registry() {
        for folder in [NODE_LISTS, PROTOCOLS_NODE_LISTS] {
            let lock = list_in(folder, LOCK);
            let packages = lock.matches("\"node_modules/").count();
            assert!(packages > 2);
            assert_eq!(lock.matches("\"integrity\": \"sha512-").count(), packages);
            assert!(!lock.contains("\"resolved\""));
            let wanted = list_in(folder, "package.json");
            let (_, wanted) = wanted.split_once("\"dependencies\": {").unwrap_or_default();
            for line in wanted.lines().filter(|line| line.contains("\": \"")) {
                // The indentation differs between `package.json` and the lock file.
                let pin = line.trim().trim_end_matches(',');
                assert!(lock.contains(pin), "{folder}/{LOCK} lacks {pin}");
            }
        }
    }
}
