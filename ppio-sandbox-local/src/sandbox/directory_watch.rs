//! Watches on directories of a sandbox.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use notify::event::{EventKind, ModifyKind, RenameMode};
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;

use crate::files::OpenDirectory;
use crate::identity;

/// The maximum number of changes that are kept until they are fetched; later ones are dropped.
const CHANGE_BACKLOG: usize = 4096;
/// The maximum number of polled watches of one sandbox.
const MAX_POLLED: usize = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DirectoryChangeKind {
    Create,
    Write,
    Remove,
    Rename,
    Chmod,
}

impl DirectoryChangeKind {
    /// Whether the file is at its path after the change. After a removal or a rename, another file
    /// may be at that path.
    fn keeps_the_file(self) -> bool {
        matches!(self, Self::Create | Self::Write | Self::Chmod)
    }
}

#[derive(Debug, Clone)]
pub(crate) struct DirectoryChange {
    /// The path of the file, relative to the watched directory.
    pub(crate) name: String,
    pub(crate) kind: DirectoryChangeKind,
    /// The file as a client sees it, if the watch describes files and the file still exists.
    pub(crate) entry: Option<serde_json::Value>,
}

/// A watch on a directory. Dropping it ends the watch.
#[derive(Debug)]
pub(crate) struct DirectoryWatch {
    pub(crate) changes: mpsc::Receiver<DirectoryChange>,
    _watcher: RecommendedWatcher,
    // The paths that the watcher uses start at the descriptor of this directory.
    _directory: OpenDirectory,
}

impl DirectoryWatch {
    /// Starts to watch `directory`. Changes of the directory itself, and of files whose path is not
    /// UTF-8, are not reported. Links in it are not followed: on the host they would lead elsewhere
    /// than in the sandbox. For a change that leaves a file in its place, `describe` gets the path
    /// of the file in the sandbox and returns its description.
    pub(crate) fn start(
        directory: OpenDirectory,
        recursive: bool,
        describe: Option<impl Fn(&Path) -> Option<serde_json::Value> + Send + 'static>,
    ) -> notify::Result<Self> {
        let (sender, changes) = mpsc::channel(CHANGE_BACKLOG);
        let base = directory.host_path();
        let inside = directory.inside().to_owned();
        let handler = move |event: notify::Result<notify::Event>| {
            let Ok(event) = event else { return };
            let Some(kind) = change_kind(event.kind) else {
                return;
            };
            for path in event.paths {
                if let Some(name) = relative(&base, &path) {
                    let entry = match &describe {
                        Some(describe) if kind.keeps_the_file() => describe(&inside.join(&name)),
                        _ => None,
                    };
                    // The newest changes are dropped when the backlog is full.
                    let _ = sender.try_send(DirectoryChange { name, kind, entry });
                }
            }
        };
        let settings = notify::Config::default().with_follow_symlinks(false);
        let mut watcher = RecommendedWatcher::new(handler, settings)?;
        let mode = if recursive {
            RecursiveMode::Recursive
        } else {
            RecursiveMode::NonRecursive
        };
        watcher.watch(&directory.host_path(), mode)?;
        Ok(Self {
            changes,
            _watcher: watcher,
            _directory: directory,
        })
    }
}

fn relative(base: &Path, path: &Path) -> Option<String> {
    let name = path.strip_prefix(base).ok()?.to_str()?;
    (!name.is_empty()).then(|| name.to_owned())
}

fn change_kind(kind: EventKind) -> Option<DirectoryChangeKind> {
    match kind {
        EventKind::Create(_) | EventKind::Modify(ModifyKind::Name(RenameMode::To)) => {
            Some(DirectoryChangeKind::Create)
        }
        EventKind::Modify(ModifyKind::Data(_)) => Some(DirectoryChangeKind::Write),
        EventKind::Modify(ModifyKind::Metadata(_)) => Some(DirectoryChangeKind::Chmod),
        EventKind::Modify(ModifyKind::Name(RenameMode::From)) => Some(DirectoryChangeKind::Rename),
        EventKind::Remove(_) => Some(DirectoryChangeKind::Remove),
        // Not reported: reads, opens and closes, lost events, and the event that repeats both
        // halves of a rename.
        _ => None,
    }
}

/// Watches whose changes are fetched by id instead of streamed.
#[derive(Debug, Default)]
pub(crate) struct PolledWatches {
    watches: Mutex<HashMap<String, DirectoryWatch>>,
}

impl PolledWatches {
    /// Keeps a watch and returns its id. `None` when there are too many.
    pub(crate) fn add(self: &Arc<Self>, watch: DirectoryWatch) -> Option<String> {
        let mut watches = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
        if watches.len() >= MAX_POLLED {
            return None;
        }
        let id = identity::short_id('w');
        watches.insert(id.clone(), watch);
        Some(id)
    }

    /// Returns the changes since the last call. `None` if the id is unknown.
    pub(crate) fn fetch(&self, id: &str) -> Option<Vec<DirectoryChange>> {
        let mut watches = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
        let watch = watches.get_mut(id)?;
        let mut changes = Vec::new();
        while let Ok(change) = watch.changes.try_recv() {
            changes.push(change);
        }
        Some(changes)
    }

    pub(crate) fn remove(&self, id: &str) -> bool {
        self.watches
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(id)
            .is_some()
    }
}
