//! The source files of a project at one moment.

use std::collections::BTreeMap;
use std::fs::{FileType, Metadata};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use ignore::{DirEntry, WalkBuilder};

use super::dot_env;

/// Files that mark a directory of generated files: cargo's target, a Python virtual environment.
const OUTPUT_MARKERS: &[&str] = &["CACHEDIR.TAG", "pyvenv.cfg"];

/// The files that are neither hidden, ignored by git or `.ignore`, nor generated, and the `.env` of
/// the first root, with their modification times and sizes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct SourceSnapshot {
    files: BTreeMap<PathBuf, (Option<SystemTime>, u64)>,
    directories: Vec<PathBuf>,
}

impl SourceSnapshot {
    /// Takes a snapshot of the files below `roots`. Unreadable files are left out.
    pub(super) fn take(roots: &[PathBuf]) -> Self {
        let mut snapshot = Self::default();
        let Some((first, others)) = roots.split_first() else {
            return snapshot;
        };
        let mut walk = WalkBuilder::new(first);
        for root in others {
            walk.add(root);
        }
        // .gitignore applies without a repository as well.
        walk.require_git(false).filter_entry(is_source);
        for entry in walk.build().flatten() {
            if entry.file_type().as_ref().is_some_and(FileType::is_dir) {
                snapshot.directories.push(entry.into_path());
            } else if let Ok(metadata) = entry.metadata() {
                snapshot.insert(entry.into_path(), &metadata);
            }
        }
        // `.env` is hidden, and usually ignored by git.
        let variables = first.join(dot_env::FILE_NAME);
        if let Ok(metadata) = variables.metadata() {
            snapshot.insert(variables, &metadata);
        }
        snapshot
    }

    fn insert(&mut self, file: PathBuf, metadata: &Metadata) {
        let state = (metadata.modified().ok(), metadata.len());
        self.files.insert(file, state);
    }

    pub(super) fn directories(&self) -> &[PathBuf] {
        &self.directories
    }

    /// Copies the state of the files below `roots` from `other`. Files that `other` lacks are kept.
    pub(super) fn update_below(&mut self, other: Self, roots: &[PathBuf]) {
        let below = |path: &Path| roots.iter().any(|root| path.starts_with(root));
        self.files
            .extend(other.files.into_iter().filter(|(path, _)| below(path)));
    }

    /// Returns the files that were created, removed or written since `before`.
    pub(super) fn changes_since(&self, before: &Self) -> Vec<PathBuf> {
        let written = self
            .files
            .iter()
            .filter(|(path, state)| before.files.get(*path) != Some(state));
        let removed = before
            .files
            .iter()
            .filter(|(path, _)| !self.files.contains_key(*path));
        written
            .chain(removed)
            .map(|(path, _)| path.clone())
            .collect()
    }
}

fn is_source(entry: &DirEntry) -> bool {
    let is_directory = entry.file_type().is_some_and(|kind| kind.is_dir());
    !is_directory || !is_output(entry.path())
}

fn is_output(directory: &Path) -> bool {
    OUTPUT_MARKERS
        .iter()
        .any(|mark| directory.join(mark).exists())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn names(paths: &[PathBuf], root: &Path) -> Vec<String> {
        paths
            .iter()
            .map(|path| path.strip_prefix(root).unwrap().display().to_string())
            .collect()
    }

    #[test]
    fn ignored_and_generated_files_are_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let write = |path: &str, text: &str| {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write(".gitignore", "*.log\n/data/\n");
        write("src/main.rs", "fn main() {}");
        write("old.rs", "");
        write("target/CACHEDIR.TAG", "");
        write("environment/pyvenv.cfg", "");
        let roots = [root.to_path_buf()];
        let before = SourceSnapshot::take(&roots);
        for ignored in [
            "agent.log",
            "data/state.json",
            "target/debug/agent",
            "environment/lib/site.py",
            ".git/index",
        ] {
            write(ignored, "changed");
        }
        let same = SourceSnapshot::take(&roots);
        assert_eq!(same.changes_since(&before), [] as [PathBuf; 0]);

        write("src/main.rs", "fn main() { new() }");
        write("src/deep/new.rs", "");
        fs::remove_file(root.join("old.rs")).unwrap();
        let after = SourceSnapshot::take(&roots);
        let changes = after.changes_since(&before);
        assert_eq!(
            names(&changes, root),
            ["src/deep/new.rs", "src/main.rs", "old.rs"]
        );
    }
}
