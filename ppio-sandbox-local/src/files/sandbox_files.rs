//! The files of a sandbox, as its commands see them.

use std::fs::Metadata;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Mode, OFlags};
use rustix::process::geteuid;

use super::as_user::as_user;
use super::confine::{LastLink, PathError, PathWalk};
use super::confined_path::{ConfinedPath, PATH_ONLY};
use super::ownership::Owner;

/// Directories in which the commands of a sandbox without namespaces see the machine's files, not
/// those below the sandbox's directory.
const MACHINE_DIRECTORIES: &[&str] = &[
    "bin", "boot", "dev", "etc", "lib", "lib32", "lib64", "libx32", "nix", "proc", "run", "sbin",
    "sys", "usr", "var",
];

/// The tree of files that the commands of a sandbox see, and the user that they run as.
#[derive(Debug, Clone)]
pub(crate) struct SandboxFiles {
    root: Arc<OwnedFd>,
    owner: Owner,
    not_shared: &'static [&'static str],
}

impl SandboxFiles {
    /// Returns the files of a sandbox with a mount namespace. `root` is the link in `/proc` to its
    /// root directory, which is kept open, because the pid in the link may be reused.
    pub(crate) fn in_namespace(root: &Path, owner: Owner) -> io::Result<Self> {
        Self::open(root, OFlags::PATH | OFlags::CLOEXEC, owner, &[])
    }

    /// Returns the files of a sandbox without namespaces, below `root`.
    pub(crate) fn below(root: &Path, owner: Owner) -> io::Result<Self> {
        Self::open(root, PATH_ONLY, owner, MACHINE_DIRECTORIES)
    }

    fn open(
        root: &Path,
        flags: OFlags,
        owner: Owner,
        not_shared: &'static [&'static str],
    ) -> io::Result<Self> {
        let root = rustix::fs::open(root, flags | OFlags::DIRECTORY, Mode::empty())?;
        Ok(Self {
            root: Arc::new(root),
            owner,
            not_shared,
        })
    }

    /// Returns the directory that the sandbox sees as `/`.
    pub(crate) fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    /// Finds `path`. Relative paths start at `base`, which is an absolute path inside the
    /// sandbox.
    pub(crate) fn locate(
        &self,
        base: &str,
        path: &str,
        last: LastLink,
    ) -> Result<ConfinedPath, PathError> {
        self.walk(base, path, last).map(PathWalk::end)
    }

    /// Follows the links of `inside`, an absolute path. Returns the path that it leads to, as the
    /// sandbox sees it, and the file there.
    pub(crate) fn resolve(&self, inside: &Path) -> Result<(PathBuf, ConfinedPath), PathError> {
        let walk = self.walk("/", &inside.to_string_lossy(), LastLink::Follow)?;
        Ok((walk.resolved(), walk.end()))
    }

    fn walk(&self, base: &str, path: &str, last: LastLink) -> Result<PathWalk, PathError> {
        let walk = PathWalk::to(&self.root, base, path, last)?;
        match walk.resolved().iter().nth(1).and_then(|name| name.to_str()) {
            Some(first) if self.not_shared.contains(&first) => {
                Err(PathError::NotShared(first.to_owned()))
            }
            _ => Ok(walk),
        }
    }

    /// Runs file system calls with the rights of the sandbox's user. Blocks for as long as the
    /// calls block.
    pub(crate) fn as_user<T, E: From<io::Error>>(
        &self,
        calls: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        match self.owner.id() {
            Some(id) => as_user(id, calls),
            // The sandbox runs as the platform's user.
            None => calls(),
        }
    }

    /// Returns the names, in the sandbox, of the user and the group that own a file.
    pub(crate) fn owners(&self, file: &Metadata) -> [String; 2] {
        let user = self.owner.id().unwrap_or_else(|| geteuid().as_raw());
        [file.uid(), file.gid()].map(|id| match id {
            _ if id == user => "user".to_owned(),
            0 => "root".to_owned(),
            _ => id.to_string(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_of_the_machine_are_not_shared_without_namespaces() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("home")).unwrap();
        std::os::unix::fs::symlink("/usr/local", root.path().join("home/link")).unwrap();
        let files = SandboxFiles::below(root.path(), Owner::PLATFORM).unwrap();
        for (path, is_shared) in [
            ("/home/file", true),
            ("/", true),
            ("/data/etc", true),
            ("/etc/hosts", false),
            ("/home/../proc/version", false),
            ("/home/link/bin", false),
        ] {
            let located = files.locate("/", path, LastLink::Follow);
            match located {
                Ok(_) => assert!(is_shared, "{path}"),
                Err(PathError::NotShared(_)) => assert!(!is_shared, "{path}"),
                Err(error) => panic!("{path}: {error}"),
            }
        }
    }

    #[test]
    fn links_are_resolved_to_whole_paths() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        std::fs::create_dir_all(at("a/b")).unwrap();
        std::fs::write(at("a/b/file"), "text").unwrap();
        std::os::unix::fs::symlink("b/file", at("a/relative")).unwrap();
        std::os::unix::fs::symlink("/a/relative", at("chain")).unwrap();
        std::os::unix::fs::symlink("nowhere", at("broken")).unwrap();
        let files = SandboxFiles::in_namespace(root.path(), Owner::PLATFORM).unwrap();
        for (link, target, exists) in [
            ("/a/relative", "/a/b/file", true),
            ("/chain", "/a/b/file", true),
            ("/broken", "/nowhere", false),
        ] {
            let (resolved, found) = files.resolve(Path::new(link)).unwrap();
            assert_eq!(resolved, Path::new(target));
            assert_eq!(found.metadata().is_ok(), exists, "{link}");
        }
    }
}
