//! What the interoperation tests run against: the published Python and JavaScript packages, fetched
//! into the target directory and kept until their list changes, and the browser of this machine.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use crate::step::Step;
use crate::{Failure, workspace};

/// Tells a test which Python interpreter has the packages.
pub(crate) const PYTHON: &str = "PPIO_INTEROP_PYTHON";
/// Tells a test which Python interpreter has the published agent client.
pub(crate) const AGENT_CLIENT_PYTHON: &str = "PPIO_INTEROP_AGENT_CLIENT_PYTHON";
/// Tells a test which `node_modules` folder has the packages.
pub(crate) const NODE_MODULES: &str = "PPIO_INTEROP_NODE_MODULES";
/// Tells a test where Chromium is.
pub(crate) const BROWSER: &str = "PPIO_INTEROP_BROWSER";

const PYTHON_REMEDY: &str = "install Python 3.11 or later with its venv module \
     (on Debian: apt-get install python3 python3-venv), or run with --no-interop";
const NODE_REMEDY: &str = "install Node.js 20 or later with npm, or run with --no-interop";
const BROWSER_REMEDY: &str = "install Chromium or Chrome (on Debian: apt-get install chromium), \
     name it in PPIO_INTEROP_BROWSER, or run with --no-interop";
/// What npm installs from, written by `npm install --package-lock-only --omit-lockfile-registry-resolved`.
const LOCK: &str = "package-lock.json";
/// What Chromium and its kin are called.
const BROWSERS: [&str; 4] = [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
];

/// What was fetched and found, as paths to hand to a test.
pub(crate) struct Packages {
    pub(crate) python: PathBuf,
    pub(crate) agent_client_python: PathBuf,
    pub(crate) node_modules: PathBuf,
    pub(crate) browser: PathBuf,
}

/// Fails with what to install when Python, Node, npm or the browser is missing.
pub(crate) fn check_tools() -> Result<(), Failure> {
    for (tool, remedy) in [
        ("python3", PYTHON_REMEDY),
        ("node", NODE_REMEDY),
        ("npm", NODE_REMEDY),
    ] {
        Step::new("the interoperation tests", tool)
            .args(["--version"])
            .remedy(remedy)
            .output()?;
    }
    browser().map(|_| ())
}

/// The browser that is named, or the first that is installed.
fn browser() -> Result<PathBuf, Failure> {
    if let Some(named) = env::var_os(BROWSER) {
        return Ok(named.into());
    }
    let folders = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&folders)
        .flat_map(|folder| BROWSERS.map(|name| folder.join(name)))
        .find(|path| path.is_file())
        .ok_or_else(|| {
            format!("the interoperation tests: no browser is installed; {BROWSER_REMEDY}")
        })
}

/// Fetches every set of packages, unless they are there already.
pub(crate) fn fetch() -> Result<Packages, Failure> {
    Ok(Packages {
        python: python()?,
        agent_client_python: agent_client_python()?,
        node_modules: node_modules()?,
        browser: browser()?,
    })
}

/// The interpreter of a virtual environment that has `tests/interop/requirements.txt` installed.
pub(crate) fn python() -> Result<PathBuf, Failure> {
    virtual_environment("requirements.txt", "python")
}

/// The interpreter of a virtual environment that has an `AgentRuntimeClient` able to create sessions.
pub(crate) fn agent_client_python() -> Result<PathBuf, Failure> {
    virtual_environment("agent-client-requirements.txt", "agent-client-python")
}

fn virtual_environment(requirements: &str, folder: &str) -> Result<PathBuf, Failure> {
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
        .remedy(PYTHON_REMEDY)
        .run()
        .map_err(|failure| format!("{failure}\nif the venv module is missing: {PYTHON_REMEDY}"))?;
    Step::new("Python packages", &python)
        .args(["-m", "pip", "install", "--quiet", "--no-input"])
        // A package that is built here would fetch what builds it, which has no hash.
        .args(["--disable-pip-version-check", "--only-binary", ":all:"])
        .args(["--require-hashes", "--requirement"])
        .args([&requirements])
        .run()?;
    stamp.write()?;
    Ok(python)
}

/// The `node_modules` folder that has `tests/interop/package-lock.json` installed.
fn node_modules() -> Result<PathBuf, Failure> {
    let lists = workspace::root().join("tests/interop");
    let folder = workspace::target().join("interop/node");
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
    // Exactly what the lock file names, with the hashes there, and no programs of theirs.
    Step::new("npm packages", "npm")
        .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
        .args(["--loglevel", "error", "--prefix"])
        .args([&folder])
        .remedy(NODE_REMEDY)
        .run()?;
    stamp.write()?;
    Ok(modules)
}

/// Remembers which list of packages a folder was made from. Written last, so that an
/// installation cut short is made again.
struct Stamp {
    wanted: String,
    path: PathBuf,
}

impl Stamp {
    fn new(list: &Path, folder: &Path) -> Result<Self, Failure> {
        Ok(Self {
            wanted: fs::read_to_string(list).map_err(|error| cannot("read", list, &error))?,
            path: folder.join(".made-from"),
        })
    }

    fn is_current(&self) -> bool {
        fs::read_to_string(&self.path).is_ok_and(|made_from| made_from == self.wanted)
    }

    fn write(&self) -> Result<(), Failure> {
        fs::write(&self.path, &self.wanted).map_err(|error| cannot("write", &self.path, &error))
    }
}

fn cannot(verb: &str, path: &Path, error: &std::io::Error) -> Failure {
    format!("cannot {verb} {}: {error}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(name: &str) -> String {
        let path = workspace::root().join("tests/interop").join(name);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// The packages that a list of Python packages names, as `name==version`.
    fn pins(list: &str) -> Vec<&str> {
        let lines = list.lines().filter(|line| !line.starts_with([' ', '#']));
        lines
            .filter_map(|line| line.split_whitespace().next())
            .collect()
    }

    #[test]
    fn every_python_package_is_pinned_with_hashes() {
        for name in ["requirements", "agent-client-requirements"] {
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
        let lock = list(LOCK);
        let packages = lock.matches("\"node_modules/").count();
        assert!(packages > 2);
        assert_eq!(lock.matches("\"integrity\": \"sha512-").count(), packages);
        assert!(!lock.contains("\"resolved\""));
        for line in list("package.json").lines() {
            // Both files indent in their own ways.
            let pin = line.trim().trim_end_matches(',');
            if pin.starts_with("\"e2b\"") || pin.starts_with("\"playwright-core\"") {
                assert!(lock.contains(pin), "{LOCK} lacks {pin}");
            }
        }
    }
}
