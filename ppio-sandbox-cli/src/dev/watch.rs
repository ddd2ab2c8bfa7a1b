//! Tells when files of the project changed.
//!
//! The system's notices only wake it up; what changed is found by comparing two looks at the project. So a file that
//! an editor wrote and removed again is no change, notices that get lost are made up for by the next one, and where
//! the system gives no notices at all, looking every second does.

use std::collections::HashSet;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::snapshot::Snapshot;

/// Editors and `git checkout` write several files; a build starts when they have been quiet for so long.
const QUIET: Duration = Duration::from_millis(80);
/// But no later than this after the first of them.
const LONGEST_WAIT: Duration = Duration::from_secs(1);
/// How often to look where the system gives no notices.
const LOOK_EVERY: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Watch {
    roots: Vec<PathBuf>,
    seen: Snapshot,
    notices: mpsc::Receiver<()>,
    /// A notice was taken, and nobody has looked since.
    awake: bool,
    put_back: Vec<PathBuf>,
    watcher: Option<RecommendedWatcher>,
    watched: HashSet<PathBuf>,
}

impl Watch {
    /// Starts to watch `root`.
    pub(super) async fn start(root: PathBuf) -> io::Result<Self> {
        // One notice that has not been taken yet stands for any number.
        let (sender, notices) = mpsc::channel(1);
        let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            if event.map_or(true, |event| tells_of_a_change(event.kind)) {
                let _ = sender.try_send(());
            }
        });
        let mut watch = Self {
            roots: vec![root],
            seen: Snapshot::default(),
            notices,
            awake: false,
            put_back: Vec::new(),
            watcher: watcher.ok(),
            watched: HashSet::new(),
        };
        watch.seen = watch.look().await?;
        Ok(watch)
    }

    /// Whether the system tells of changes.
    pub(super) fn is_told(&self) -> bool {
        self.watcher.is_some()
    }

    /// Watches `roots` too. What they look like now is taken for known.
    pub(super) async fn add(&mut self, roots: Vec<PathBuf>) -> io::Result<()> {
        let before = self.roots.len();
        for root in roots {
            if !self.roots.iter().any(|known| root.starts_with(known)) {
                self.roots.push(root);
            }
        }
        if self.roots.len() > before {
            let news = self.look().await?;
            self.seen.learn(news, &self.roots[before..]);
        }
        Ok(())
    }

    /// Takes back changes that nobody minded yet; they are told once more.
    pub(super) fn put_back(&mut self, changes: Vec<PathBuf>) {
        self.put_back.extend(changes);
    }

    /// Waits for a change and returns the files. Loses nothing when it is given up and called again.
    pub(super) async fn changed(&mut self) -> io::Result<Vec<PathBuf>> {
        if !self.put_back.is_empty() {
            return Ok(std::mem::take(&mut self.put_back));
        }
        loop {
            self.wake_up().await;
            let now = self.look().await?;
            let changes = now.changes_since(&self.seen);
            self.seen = now;
            self.awake = false;
            if !changes.is_empty() {
                return Ok(changes);
            }
        }
    }

    async fn wake_up(&mut self) {
        if self.awake {
            return;
        }
        if self.watcher.is_none() {
            tokio::time::sleep(LOOK_EVERY).await;
        } else {
            // The watcher, which holds the other end, is ours.
            let _ = self.notices.recv().await;
            self.awake = true;
            let latest = Instant::now() + LONGEST_WAIT;
            let mut quiet = latest;
            while quiet > Instant::now() {
                quiet = latest.min(Instant::now() + QUIET);
                let next = tokio::time::timeout_at(quiet, self.notices.recv());
                if next.await.is_err() {
                    break;
                }
            }
        }
    }

    /// Looks at everything, and sees to it that the system tells of every directory found.
    async fn look(&mut self) -> io::Result<Snapshot> {
        loop {
            let roots = self.roots.clone();
            let snapshot = tokio::task::spawn_blocking(move || Snapshot::take(&roots)).await?;
            if !self.watch(snapshot.directories()) {
                return Ok(snapshot);
            }
            // What was written before the directory was watched is seen by the second look.
        }
    }

    /// Watches the directories, and tells whether any of them was not watched yet.
    fn watch(&mut self, directories: &[PathBuf]) -> bool {
        let Some(watcher) = &mut self.watcher else {
            return false;
        };
        let before = std::mem::take(&mut self.watched);
        for path in directories {
            // Known ones too: one that was removed and made anew is another one to the system.
            match watcher.watch(path, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    self.watched.insert(path.clone());
                }
                Err(error) if is_gone(&error) => {}
                // Out of watches; looking now and then works without them.
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

/// Opening and reading is no change, and looking at the project does both.
fn tells_of_a_change(kind: EventKind) -> bool {
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

    async fn next(watch: &mut Watch) -> Vec<PathBuf> {
        let changed = watch.changed();
        let changed = tokio::time::timeout(Duration::from_secs(20), changed).await;
        changed.expect("the change is noticed").unwrap()
    }

    async fn changes_are_told(told_by_system: bool) {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        fs::write(root.join("known.rs"), "").unwrap();
        let mut watch = Watch::start(root.clone()).await.unwrap();
        if !told_by_system {
            watch.watcher = None;
        }

        // In a directory that did not exist when the watch began, at once after it is made.
        fs::create_dir(root.join("new")).unwrap();
        fs::write(root.join("new/first.rs"), "").unwrap();
        assert_eq!(next(&mut watch).await, [root.join("new/first.rs")]);
        fs::write(root.join("new/second.rs"), "").unwrap();
        assert_eq!(next(&mut watch).await, [root.join("new/second.rs")]);

        // The same directory's name, another directory.
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
    async fn changes_are_told_with_the_help_of_the_system() {
        changes_are_told(true).await;
    }

    #[tokio::test]
    async fn changes_are_told_without_the_help_of_the_system() {
        changes_are_told(false).await;
    }

    #[tokio::test]
    async fn a_wait_that_was_given_up_loses_no_change() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let mut watch = Watch::start(root.clone()).await.unwrap();
        fs::write(root.join("main.rs"), "").unwrap();
        // Given up at every point that it can be given up at.
        for milliseconds in [0, 1, 20, 79, 81] {
            let changed = watch.changed();
            let patience = Duration::from_millis(milliseconds);
            if let Ok(changes) = tokio::time::timeout(patience, changed).await {
                assert_eq!(changes.unwrap(), [root.join("main.rs")]);
                return;
            }
        }
        assert_eq!(next(&mut watch).await, [root.join("main.rs")]);
    }
}
