//! Maps paths as a sandbox sees them to paths of this machine.
//!
//! Symbolic links of a sandbox are followed as the sandbox would follow them, with its directory as
//! `/`. No path leads out of that directory, not even while a program of the sandbox swaps
//! directories and links.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{FileType, Mode, OFlags, fstat, openat, readlinkat};
use rustix::io::Errno;

use super::confined_path::{ConfinedPath, PATH_ONLY};

/// The longest path that Linux accepts, in bytes.
const MAX_PATH: usize = 4096;
/// The longest file name that Linux accepts, in bytes.
const MAX_NAME: usize = 255;
/// The number of links that Linux follows before it reports a loop.
const MAX_LINKS: usize = 40;

/// The home directory of the sandbox's default user.
pub(crate) const USER_HOME: &str = "/home/user";

#[derive(Debug, thiserror::Error)]
pub(crate) enum PathError {
    #[error("path is empty")]
    Empty,
    #[error("path holds a NUL byte")]
    Nul,
    #[error("path has more than {MAX_PATH} bytes, or a name of more than {MAX_NAME}")]
    TooLong,
    #[error("too many symbolic links in {0}")]
    LinkLoop(String),
    #[error(
        "commands of a sandbox without namespaces use the machine's /{0} and would not use \
         this file: use a path below /home, /app or /tmp, or install bubblewrap"
    )]
    NotShared(String),
    #[error("failed to look up {path}")]
    Lookup { path: String, source: io::Error },
    #[error("failed to act as the sandbox's user")]
    User(#[from] io::Error),
}

impl PathError {
    /// Whether the lookup failed because the user may not enter a directory of the path.
    pub(crate) fn is_denied(&self) -> bool {
        matches!(self, Self::Lookup { source, .. } if source.kind() == io::ErrorKind::PermissionDenied)
    }
}

/// Whether the last component, when it is a symbolic link, is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LastLink {
    Follow,
    Keep,
}

/// Maps `path` into `root`. Relative paths start at `base`, which is an absolute path inside the
/// sandbox.
pub(crate) fn confine(
    root: &Path,
    base: &str,
    path: &str,
    last: LastLink,
) -> Result<ConfinedPath, PathError> {
    let root = rustix::fs::open(root, PATH_ONLY | OFlags::DIRECTORY, Mode::empty());
    let root = root.map_err(|error| PathError::Lookup {
        path: path.to_owned(),
        source: error.into(),
    })?;
    PathWalk::to(&Arc::new(root), base, path, last).map(PathWalk::end)
}

/// Makes `path` absolute. A first component `~` is the home directory of the default user.
fn absolute(base: &str, path: &str) -> Result<PathBuf, PathError> {
    if path.is_empty() {
        return Err(PathError::Empty);
    }
    if path.contains('\0') {
        return Err(PathError::Nul);
    }
    let expanded = match path.strip_prefix('~') {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => format!("{USER_HOME}{rest}"),
        _ => path.to_owned(),
    };
    let absolute = Path::new("/").join(base).join(expanded);
    let is_long = |part: Component<'_>| part.as_os_str().len() > MAX_NAME;
    if absolute.as_os_str().len() > MAX_PATH || absolute.components().any(is_long) {
        return Err(PathError::TooLong);
    }
    Ok(absolute)
}

#[derive(Debug)]
enum PathPart {
    Root,
    Parent,
    Name(OsString),
}

fn parts(path: &Path) -> impl DoubleEndedIterator<Item = PathPart> {
    path.components().filter_map(|component| match component {
        Component::RootDir => Some(PathPart::Root),
        Component::ParentDir => Some(PathPart::Parent),
        Component::Normal(name) => Some(PathPart::Name(name.to_owned())),
        Component::CurDir | Component::Prefix(_) => None,
    })
}

/// Walks through a sandbox's directories, name by name, from one open directory to the next.
///
/// `openat2` with `RESOLVE_IN_ROOT` is as safe, but resolves existing paths only, and does not
/// return the directory of the last name, which renaming, removing and creating need. Older kernels
/// lack `openat2`, and some container profiles refuse it.
pub(super) struct PathWalk {
    /// The absolute path that the caller named.
    inside: PathBuf,
    root: Arc<OwnedFd>,
    names: Vec<OsString>,
    parent: Arc<OwnedFd>,
    here: Arc<OwnedFd>,
    /// The first name that does not exist, and those after it.
    missing: Vec<OsString>,
}

impl PathWalk {
    /// Walks to `path` in the tree of `root`.
    pub(super) fn to(
        root: &Arc<OwnedFd>,
        base: &str,
        path: &str,
        last: LastLink,
    ) -> Result<Self, PathError> {
        let absolute = absolute(base, path)?;
        let failed = |error: Errno| PathError::Lookup {
            path: absolute.display().to_string(),
            source: error.into(),
        };
        let mut walk = Self {
            inside: lexical(&absolute),
            root: Arc::clone(root),
            names: Vec::new(),
            parent: Arc::clone(root),
            here: Arc::clone(root),
            missing: Vec::new(),
        };
        let mut links = 0;
        let mut pending: VecDeque<_> = parts(&absolute).collect();
        while let Some(part) = pending.pop_front() {
            let target = match part {
                PathPart::Root => {
                    walk.restart().map_err(failed)?;
                    None
                }
                PathPart::Parent => {
                    walk.ascend().map_err(failed)?;
                    None
                }
                PathPart::Name(name) => {
                    let follow = last == LastLink::Follow || !pending.is_empty();
                    walk.descend(name, follow).map_err(failed)?
                }
            };
            if let Some(target) = target {
                links += 1;
                if links > MAX_LINKS {
                    return Err(PathError::LinkLoop(absolute.display().to_string()));
                }
                for part in parts(Path::new(&target)).rev() {
                    pending.push_front(part);
                }
            }
        }
        Ok(walk)
    }

    /// Returns the path that the walk led to, as the sandbox sees it.
    pub(super) fn resolved(&self) -> PathBuf {
        let names = self.names.iter().chain(&self.missing);
        std::iter::once("/".as_ref())
            .chain(names.map(OsString::as_os_str))
            .collect()
    }

    fn restart(&mut self) -> rustix::io::Result<()> {
        self.names.clear();
        self.missing.clear();
        self.reopen()
    }

    fn ascend(&mut self) -> rustix::io::Result<()> {
        if self.missing.pop().is_some() {
            return Ok(());
        }
        self.names.pop();
        self.reopen()
    }

    /// Walks the names again, because `..` of the operating system may lead out of the sandbox, and
    /// keeping every directory open would need a descriptor for each.
    fn reopen(&mut self) -> rustix::io::Result<()> {
        self.parent = Arc::clone(&self.root);
        self.here = Arc::clone(&self.root);
        for name in std::mem::take(&mut self.names) {
            let next = openat(
                &self.here,
                &name,
                PATH_ONLY | OFlags::DIRECTORY,
                Mode::empty(),
            )?;
            self.enter(name, next);
        }
        Ok(())
    }

    fn enter(&mut self, name: OsString, next: OwnedFd) {
        self.names.push(name);
        self.parent = std::mem::replace(&mut self.here, Arc::new(next));
    }

    /// Enters `name`. Returns the target of a link that is to be followed. A name that does not
    /// exist is added to `missing`.
    fn descend(&mut self, name: OsString, follow: bool) -> rustix::io::Result<Option<OsString>> {
        if !self.missing.is_empty() {
            self.missing.push(name);
            return Ok(None);
        }
        let next = match openat(&self.here, &name, PATH_ONLY, Mode::empty()) {
            Ok(next) => next,
            // Not an error yet: the path may be about to be created.
            Err(Errno::NOENT | Errno::NOTDIR) => {
                self.missing.push(name);
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let kind = FileType::from_raw_mode(fstat(&next)?.st_mode);
        if follow && kind == FileType::Symlink {
            match readlinkat(&next, "", Vec::new()) {
                Ok(target) => return Ok(Some(OsString::from_vec(target.into_bytes()))),
                // A link of /proc to the process that reads it, such as `/proc/self`. The platform
                // is not a process of the sandbox.
                Err(Errno::NOENT) => {
                    self.missing.push(name);
                    return Ok(None);
                }
                Err(error) => return Err(error),
            }
        }
        self.enter(name, next);
        Ok(None)
    }

    pub(super) fn end(mut self) -> ConfinedPath {
        let (directory, rest) = if !self.missing.is_empty() {
            (self.here, self.missing)
        } else if let Some(name) = self.names.pop() {
            (self.parent, vec![name])
        } else {
            (self.root, Vec::new())
        };
        ConfinedPath {
            inside: self.inside,
            directory,
            rest,
        }
    }
}

/// Maps an absolute path of the sandbox, which holds no links, to a path of this machine.
pub(crate) fn join(root: &Path, inside: &Path) -> PathBuf {
    root.join(inside.strip_prefix("/").unwrap_or(inside))
}

fn lexical(path: &Path) -> PathBuf {
    let mut clean = PathBuf::from("/");
    for component in path.components() {
        match component {
            Component::Normal(name) => clean.push(name),
            Component::ParentDir => {
                clean.pop();
            }
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::fd::AsRawFd as _;
    use std::os::unix::fs::symlink;

    /// Returns the path on this machine that a confined path leads to.
    fn real(path: &ConfinedPath) -> PathBuf {
        let directory = fs::read_link(format!("/proc/self/fd/{}", path.directory.as_raw_fd()));
        path.rest
            .iter()
            .fold(directory.unwrap(), |path, name| path.join(name))
    }

    #[test]
    fn no_path_leaves_the_root() {
        let root = tempfile::tempdir().unwrap();
        let root = &root.path().canonicalize().unwrap();
        fs::create_dir_all(root.join("home/user")).unwrap();
        symlink("/etc", root.join("home/user/absolute")).unwrap();
        symlink("../../../../../etc", root.join("home/user/relative")).unwrap();
        symlink("loop", root.join("home/user/loop")).unwrap();

        for (path, expected) in [
            ("/etc/passwd", "etc/passwd"),
            ("../../../../etc/passwd", "etc/passwd"),
            ("/../../etc/passwd", "etc/passwd"),
            ("absolute/passwd", "etc/passwd"),
            ("relative/passwd", "etc/passwd"),
            ("~/notes", "home/user/notes"),
            ("a/./b", "home/user/a/b"),
            ("a/../../b", "home/b"),
            ("absolute/../x", "x"),
            ("/home/user/..", "home"),
            ("/missing/link/../../etc", "etc"),
            ("/..", ""),
        ] {
            let confined = confine(root, USER_HOME, path, LastLink::Follow).unwrap();
            assert_eq!(real(&confined), root.join(expected), "{path}");
        }
        let kept = confine(root, USER_HOME, "absolute", LastLink::Keep).unwrap();
        assert_eq!(real(&kept), root.join("home/user/absolute"));
        assert!(matches!(
            confine(root, USER_HOME, "loop/x", LastLink::Follow),
            Err(PathError::LinkLoop(_))
        ));
    }

    #[test]
    fn impossible_paths_are_refused() {
        let root = tempfile::tempdir().unwrap();
        let long_name = "x".repeat(300);
        let long_path = "x/".repeat(3000);
        for path in ["", "a\0b", &long_name, &long_path] {
            assert!(
                confine(root.path(), USER_HOME, path, LastLink::Follow).is_err(),
                "{path:?}"
            );
        }
    }
}
