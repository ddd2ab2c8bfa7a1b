//! The journal: the files from which runs are restored after a crash of the process.
//!
//! ```text
//! <directory>/lock                           held while an agent uses the directory
//! <directory>/key                            the key of the hashes in the files
//! <directory>/<number>-<segment>.run         the records of a run
//! ```
//!
//! A run has one file, or several if its stream is long, so that the oldest items can be deleted. A
//! thread (`writer`) writes each record (`record`) with one `write`, and then passes the result to
//! a callback. `recovery` reads the files at start.

mod directory;
pub(super) mod record;
mod recovery;
mod writer;

use std::io;
use std::path::Path;
use std::sync::mpsc::{Sender, channel};

use tokio::sync::oneshot;

use self::directory::JournalDirectory;
use self::record::Record;
pub(super) use self::recovery::RecoveredRun;
use self::writer::{Writer, WriterJob};

/// The number by which the size limit of a run is divided to get the size limit of one file.
const SEGMENTS: usize = 16;

/// The journal of an agent. The directory is locked until the last clone of the journal is dropped.
#[derive(Clone)]
pub(super) struct Journal {
    jobs: Sender<WriterJob>,
}

/// An opened journal, and the runs of earlier processes that it contains.
pub(super) struct OpenedJournal {
    pub(super) journal: Journal,
    pub(super) key: [u8; 16],
    /// The runs, in the order in which they started.
    pub(super) runs: Vec<RecoveredRun>,
    /// The number for the next run: one more than the highest number in the directory.
    pub(super) next_number: u64,
}

/// The limits of what is restored from the journal.
#[derive(Debug, Clone, Copy)]
pub(super) struct JournalLimits {
    pub(super) runs: usize,
    /// The maximum size of one run, in bytes.
    pub(super) run_size: usize,
    /// The maximum size of all runs together, in bytes.
    pub(super) total_size: usize,
}

/// The error for a journal that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum JournalError {
    #[error("another process uses the directory")]
    InUse,
    #[error("{0}")]
    Io(#[from] io::Error),
}

impl Journal {
    /// Creates the directory, if necessary, locks it, reads its runs, and starts the writer's
    /// thread.
    pub(super) fn open(path: &Path, limits: JournalLimits) -> Result<OpenedJournal, JournalError> {
        let directory = JournalDirectory::lock(path)?;
        let key = directory.key()?;
        let recovered = recovery::recover(&directory, limits)?;
        let (jobs, received) = channel();
        let segment_size = (limits.run_size / SEGMENTS).max(4096) as u64;
        let writer = Writer::new(directory, segment_size, &recovered.runs);
        std::thread::Builder::new()
            .name("ppio-journal".to_owned())
            .spawn(move || writer.run(&received))?;
        Ok(OpenedJournal {
            journal: Self { jobs },
            key,
            runs: recovered.runs,
            next_number: recovered.next_number,
        })
    }

    /// Writes a record of a run, then calls `then` with the record and the result on the writer's
    /// thread.
    pub(super) fn write(
        &self,
        number: u64,
        record: Record,
        then: impl FnOnce(Record, io::Result<()>) + Send + 'static,
    ) {
        let then = Box::new(then);
        self.send(WriterJob::Write {
            number,
            record,
            then,
        });
    }

    /// Deletes the files of a run that have only items before `first`.
    pub(super) fn trim(&self, number: u64, first: u64) {
        self.send(WriterJob::Trim { number, first });
    }

    /// Deletes the files of a run.
    pub(super) fn remove(&self, number: u64) {
        self.send(WriterJob::Remove { number });
    }

    /// Waits until all records that were sent so far are written.
    pub(super) async fn flush(&self) {
        let (flushed, is_flushed) = oneshot::channel();
        self.then(move || {
            let _ = flushed.send(());
        });
        let _ = is_flushed.await;
    }

    /// Calls `then` on the thread of the journal, once all earlier jobs are done.
    pub(super) fn then(&self, then: impl FnOnce() + Send + 'static) {
        self.send(WriterJob::Then(Box::new(then)));
    }

    fn send(&self, job: WriterJob) {
        // The thread ends only after all senders are dropped.
        let _ = self.jobs.send(job);
    }
}

/// Returns the size limit of a run's log, in bytes. With this limit, the run's files, including the
/// first records of each, stay below `max_size`, although the oldest file can only be deleted as a
/// whole.
pub(super) fn log_limit(max_size: usize) -> usize {
    max_size - max_size / SEGMENTS * 2
}
