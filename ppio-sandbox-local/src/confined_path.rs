//! Paths as a sandbox sees them, mapped to where they lie on this machine.
//!
//! A sandbox may hold symbolic links to anywhere. They are followed here as the sandbox itself
//! would follow them, with its own directory as `/`, so no path leads out of it.

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

/// The longest path that Linux takes, in bytes.
const MAX_PATH: usize = 4096;
/// The longest file name that Linux takes, in bytes.
const MAX_NAME: usize = 255;
/// As many links as Linux follows before it calls them a loop.
const MAX_LINKS: usize = 40;

/// The home directory of the sandbox's default user.
pub(crate) const USER_HOME: &str = "/home/user";

#[derive(Debug, thiserror::Error)]
pub(crate) enum PathError {
    #[error("path is empty")]
    Empty,
    #[error("path holds a NUL byte")]
    Nul,
    #[error("path is longer than {MAX_PATH} bytes, or one of its names than {MAX_NAME}")]
    TooLong,
    #[error("too many symbolic links in {0}")]
    LinkLoop(String),
    #[error("failed to look up {path}: {source}")]
    Lookup { path: String, source: io::Error },
}

/// Whether the last component, when it is a symbolic link, is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LastLink {
    Follow,
    Keep,
}

/// A path inside a sandbox together with its place on this machine.
#[derive(Debug, Clone)]
pub(crate) struct ConfinedPath {
    /// Absolute, as the sandbox sees it, without `.` and `..`.
    pub(crate) inside: PathBuf,
    /// The same file on this machine, all links but the last resolved.
    pub(crate) host: PathBuf,
}

/// Maps `path` into `root`. Relative paths start at `base`, an absolute path inside the sandbox.
pub(crate) fn confine(
    root: &Path,
    base: &str,
    path: &str,
    last: LastLink,
) -> Result<ConfinedPath, PathError> {
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
    if absolute.as_os_str().len() > MAX_PATH
        || absolute
            .components()
            .any(|part| part.as_os_str().len() > MAX_NAME)
    {
        return Err(PathError::TooLong);
    }
    let inside = resolve(root, &absolute, last)?;
    let host = join(root, &inside);
    Ok(ConfinedPath {
        inside: lexical(&absolute),
        host,
    })
}

/// Where an absolute path of the sandbox lies on this machine, when it holds no links.
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

fn resolve(root: &Path, path: &Path, last: LastLink) -> Result<PathBuf, PathError> {
    let mut pending: VecDeque<_> = path
        .components()
        .map(|part| part.as_os_str().to_owned())
        .collect();
    let mut inside = PathBuf::from("/");
    let mut links = 0;
    while let Some(name) = pending.pop_front() {
        match Path::new(&name).components().next() {
            Some(Component::RootDir) => inside = PathBuf::from("/"),
            Some(Component::ParentDir) => {
                inside.pop();
            }
            Some(Component::Normal(_)) => {
                let next = inside.join(&name);
                let host = join(root, &next);
                let is_link = match fs::symlink_metadata(&host) {
                    Ok(metadata) => metadata.file_type().is_symlink(),
                    // The rest does not exist yet; whoever uses the path will say so.
                    Err(error)
                        if matches!(
                            error.kind(),
                            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                        ) =>
                    {
                        false
                    }
                    Err(source) => {
                        return Err(PathError::Lookup {
                            path: next.display().to_string(),
                            source,
                        });
                    }
                };
                if is_link && (last == LastLink::Follow || !pending.is_empty()) {
                    links += 1;
                    if links > MAX_LINKS {
                        return Err(PathError::LinkLoop(path.display().to_string()));
                    }
                    let target = fs::read_link(&host).map_err(|source| PathError::Lookup {
                        path: next.display().to_string(),
                        source,
                    })?;
                    for component in target.components().rev() {
                        pending.push_front(component.as_os_str().to_owned());
                    }
                } else {
                    inside = next;
                }
            }
            _ => {}
        }
    }
    Ok(inside)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn no_path_leaves_the_root() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
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
        ] {
            let confined = confine(root, USER_HOME, path, LastLink::Follow).unwrap();
            assert_eq!(confined.host, root.join(expected), "{path}");
        }
        let kept = confine(root, USER_HOME, "absolute", LastLink::Keep).unwrap();
        assert_eq!(kept.host, root.join("home/user/absolute"));
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
