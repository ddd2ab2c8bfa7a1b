//! Waits for changes of the project's files.
//!
//! A notification of the system only starts a comparison of two snapshots, which finds the changed
//! files. So a file that an editor creates and removes again is not a change, the changes of a lost
//! notification are found after the next one, and without notifications the snapshots are compared
//! every second.
//!
//! `notify-debouncer-full` is not suitable here: it delays the events of each file, but a build has
//! to wait until the whole project is quiet.

use std::collections::HashSet;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::snapshot::SourceSnapshot;

/// The pause without notifications before a comparison: `git checkout` and editors write many
/// files.
const DEBOUNCE: Duration = Duration::from_millis(80);
/// The longest time from the first notification to a comparison.
const MAX_DEBOUNCE: Duration = Duration::from_secs(1);
/// The pause between two comparisons if there are no notifications.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct FileWatcher {
    roots: Vec<PathBuf>,
    seen: SourceSnapshot,
    notifications: mpsc::Receiver<()>,
    /// Whether a notification was received, and no snapshot was taken since.
    is_notified: bool,
    /// Changes that the next call of `changed` returns again.
    put_back: Vec<PathBuf>,
    watcher: Option<RecommendedWatcher>,
    watched: HashSet<PathBuf>,
}

impl FileWatcher {
    /// Starts to watch `root`.
    pub(super) async fn start(root: PathBuf) -> io::Result<Self> {
        // One pending notification is enough for any number of changes.
        let (sender, notifications) = mpsc::channel(1);
        let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            if event.map_or(true, |event| is_change(event.kind)) {
                let _ = sender.try_send(());
            }
        });
        let mut watch = Self {
            roots: vec![root],
            seen: SourceSnapshot::default(),
            notifications,
            is_notified: false,
            put_back: Vec::new(),
            watcher: watcher.ok(),
            watched: HashSet::new(),
        };
        watch.seen = watch.take_snapshot().await?;
        Ok(watch)
    }

    /// Whether the system sends notifications.
    pub(super) fn has_notifications(&self) -> bool {
        self.watcher.is_some()
    }

    /// Watches `roots` as well, from their present state on.
    pub(super) async fn add(&mut self, roots: Vec<PathBuf>) -> io::Result<()> {
        let before = self.roots.len();
        for root in roots {
            if !self.roots.iter().any(|known| root.starts_with(known)) {
                self.roots.push(root);
            }
        }
        if self.roots.len() > before {
            let now = self.take_snapshot().await?;
            self.seen.update_below(now, &self.roots[before..]);
        }
        Ok(())
    }

    /// Makes the next call of [`changed`](Self::changed) return these changes again.
    pub(super) fn put_back(&mut self, changes: Vec<PathBuf>) {
        self.put_back.extend(changes);
    }

    /// Waits for a change and returns the changed files. Cancel safe.
    pub(super) async fn changed(&mut self) -> io::Result<Vec<PathBuf>> {
        if !self.put_back.is_empty() {
            return Ok(std::mem::take(&mut self.put_back));
        }
        loop {
            self.notified().await;
            let now = self.take_snapshot().await?;
            let changes = now.changes_since(&self.seen);
            self.seen = now;
            self.is_notified = false;
            if !changes.is_empty() {
                return Ok(changes);
            }
        }
    }

    async fn notified(&mut self) {
        if self.is_notified {
            return;
        }
        if self.watcher.is_none() {
            tokio::time::sleep(POLL_INTERVAL).await;
        } else {
            // Never closed: `self.watcher` holds the sender.
            let _ = self.notifications.recv().await;
            self.is_notified = true;
            let latest = Instant::now() + MAX_DEBOUNCE;
            let mut quiet = latest;
            while quiet > Instant::now() {
                quiet = latest.min(Instant::now() + DEBOUNCE);
                let next = tokio::time::timeout_at(quiet, self.notifications.recv());
                if next.await.is_err() {
                    break;
                }
            }
        }
    }

    /// Takes a snapshot, and watches every directory in it.
    async fn take_snapshot(&mut self) -> io::Result<SourceSnapshot> {
        loop {
            let roots = self.roots.clone();
            let snapshot =
                tokio::task::spawn_blocking(move || SourceSnapshot::take(&roots)).await?;
            if !self.watch(snapshot.directories()) {
                return Ok(snapshot);
            }
            // Files may have been written before their directory was watched: take another
            // snapshot.
        }
    }

    /// Watches the directories. Returns whether one of them was not watched before.
    fn watch(&mut self, directories: &[PathBuf]) -> bool {
        let Some(watcher) = &mut self.watcher else {
            return false;
        };
        let before = std::mem::take(&mut self.watched);
        for path in directories {
            // Watches also the directories that are watched already: a directory that was created
            // again needs a new watch.
            match watcher.watch(path, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    self.watched.insert(path.clone());
                }
                Err(error) if is_gone(&error) => {}
                // For example the limit of watches is reached: poll instead.
                Err(_) => {
                    self.watcher = None;
                    return false;
                }
            }
        }
        !self.watched.is_subset(&before)
    }
}

fn is_gone(error: &notify::Error) -> bool {
    match &error.kind {
        notify::ErrorKind::PathNotFound => true,
        notify::ErrorKind::Io(error) => error.kind() == io::ErrorKind::NotFound,
        _ => false,
    }
}

/// Whether an event may be a change. Opening and reading are not, since a snapshot does both.
fn is_change(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => true,
        EventKind::Access(_) => false,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    async fn next(watch: &mut FileWatcher) -> Vec<PathBuf> {
        let changed = watch.changed();
        let changed = tokio::time::timeout(Duration::from_secs(20), changed).await;
        changed.expect("the change is found").unwrap()
    }

    async fn changes_are_found(with_notifications: bool) {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        fs::write(root.join("known.rs"), "").unwrap();
        let mut watch = FileWatcher::start(root.clone()).await.unwrap();
        if !with_notifications {
            watch.watcher = None;
        }

        // In a directory that is created after the start of the watch.
        fs::create_dir(root.join("new")).unwrap();
        fs::write(root.join("new/first.rs"), "").unwrap();
        assert_eq!(next(&mut watch).await, [root.join("new/first.rs")]);
        fs::write(root.join("new/second.rs"), "").unwrap();
        assert_eq!(next(&mut watch).await, [root.join("new/second.rs")]);

        // In another directory of the same name.
        fs::remove_dir_all(root.join("new")).unwrap();
        fs::create_dir(root.join("new")).unwrap();
        fs::write(root.join("known.rs"), "changed").unwrap();
        let changes = next(&mut watch).await;
        assert!(changes.contains(&root.join("known.rs")), "{changes:?}");
        fs::write(root.join("new/third.rs"), "").unwrap();
        let mut changes = next(&mut watch).await;
        while !changes.contains(&root.join("new/third.rs")) {
            changes = next(&mut watch).await;
        }
    }

    #[tokio::test]
    async fn changes_are_found_with_notifications() {
        changes_are_found(true).await;
    }

    #[tokio::test]
    async fn changes_are_found_without_notifications() {
        changes_are_found(false).await;
    }

    #[tokio::test]
    async fn a_cancelled_wait_loses_no_change() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let mut watch = FileWatcher::start(root.clone()).await.unwrap();
        fs::write(root.join("main.rs"), "").unwrap();
        // Cancelled at each of its await points.
        for milliseconds in [0, 1, 20, 79, 81] {
            let changed = watch.changed();
            let limit = Duration::from_millis(milliseconds);
            if let Ok(changes) = tokio::time::timeout(limit, changed).await {
                assert_eq!(changes.unwrap(), [root.join("main.rs")]);
                return;
            }
        }
        assert_eq!(next(&mut watch).await, [root.join("main.rs")]);
    }
}
