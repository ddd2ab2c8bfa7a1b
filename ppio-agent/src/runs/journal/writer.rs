//! The thread that writes the files of runs.

use std::collections::{HashMap, VecDeque};
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::Receiver;

use super::directory::{FileName, JournalDirectory, SegmentFile, options};
use super::record::{MAGIC, Record};
use super::recovery::RecoveredRun;

/// The maximum number of open files; each running run writes to one.
const MAX_OPEN: usize = 64;

/// A job of the writer's thread.
pub(super) enum WriterJob {
    Write {
        number: u64,
        record: Record,
        then: Box<dyn FnOnce(Record, io::Result<()>) + Send>,
    },
    Trim {
        number: u64,
        first: u64,
    },
    Remove {
        number: u64,
    },
    Then(Box<dyn FnOnce() + Send>),
}

pub(super) struct Writer {
    directory: JournalDirectory,
    segment_size: u64,
    runs: HashMap<u64, RunFiles>,
    open: usize,
    /// The buffer for a record, reused for the next one.
    buffer: Vec<u8>,
}

/// The files of a run.
struct RunFiles {
    segments: VecDeque<SegmentFile>,
    /// The bytes with which each file begins: the magic bytes, the start, and the head.
    beginning: Vec<u8>,
    /// The number of the next item.
    next: u64,
    /// The last file, if it is open.
    file: Option<File>,
    /// The length of the last file, in bytes.
    length: u64,
    /// Whether a record was lost, so that no later record may be written.
    failed: bool,
}

impl Writer {
    pub(super) fn new(
        directory: JournalDirectory,
        segment_size: u64,
        recovered: &[RecoveredRun],
    ) -> Self {
        let runs = recovered.iter().map(|run| {
            let files = RunFiles {
                segments: run.files.clone(),
                ..RunFiles::default()
            };
            (run.number, files)
        });
        Self {
            directory,
            segment_size,
            runs: runs.collect(),
            open: 0,
            buffer: Vec::new(),
        }
    }

    /// Runs the jobs until the journal is dropped.
    pub(super) fn run(mut self, jobs: &Receiver<WriterJob>) {
        while let Ok(job) = jobs.recv() {
            match job {
                WriterJob::Write {
                    number,
                    record,
                    then,
                } => {
                    let written = self.write(number, &record);
                    // A callback that panics must not end the thread of the journal.
                    let _ = catch_unwind(AssertUnwindSafe(|| then(record, written)));
                }
                WriterJob::Trim { number, first } => self.trim(number, first),
                WriterJob::Remove { number } => self.remove(number),
                WriterJob::Then(then) => {
                    let _ = catch_unwind(AssertUnwindSafe(then));
                }
            }
        }
    }

    fn write(&mut self, number: u64, record: &Record) -> io::Result<()> {
        if let Record::Start(_) = record {
            let mut beginning = MAGIC.to_vec();
            record.encode(&mut beginning);
            let files = RunFiles {
                beginning,
                next: 1,
                ..RunFiles::default()
            };
            self.runs.insert(number, files);
            let begun = self.begin_segment(number);
            if begun.is_err() {
                self.remove(number);
            }
            return begun;
        }
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        record.encode(&mut buffer);
        let written = self.append(number, record, &buffer);
        if written.is_err()
            && let Some(files) = self.runs.get_mut(&number)
        {
            files.failed = true;
            if files.file.take().is_some() {
                self.open -= 1;
            }
        }
        // The buffer of a long value or item is not kept.
        if buffer.capacity() <= 1 << 20 {
            self.buffer = buffer;
        }
        written
    }

    fn append(&mut self, number: u64, record: &Record, encoded: &[u8]) -> io::Result<()> {
        let Some(files) = self.runs.get_mut(&number) else {
            return Err(io::Error::other("the run has no file"));
        };
        if files.failed {
            return Err(io::Error::other("an earlier record could not be written"));
        }
        let length = encoded.len() as u64;
        let is_full = files.length + length > self.segment_size && files.has_items();
        if is_full && matches!(record, Record::Items { .. }) {
            self.begin_segment(number)?;
        }
        self.open(number)?;
        let Some(files) = self.runs.get_mut(&number) else {
            return Ok(());
        };
        let Some(file) = &mut files.file else {
            return Ok(());
        };
        if let Err(error) = file.write_all(encoded) {
            // A partly written record would hide the records after it.
            let _ = file.set_len(files.length);
            return Err(error);
        }
        files.length += length;
        match record {
            Record::Head(_) => files.beginning.extend_from_slice(encoded),
            Record::Items { count, .. } => files.next += count,
            Record::End(_) => {
                files.file = None;
                files.beginning = Vec::new();
                self.open -= 1;
            }
            Record::Start(_) | Record::First(_) => {}
        }
        Ok(())
    }

    /// Creates the next file of a run.
    fn begin_segment(&mut self, number: u64) -> io::Result<()> {
        self.limit_open(number);
        let Some(files) = self.runs.get_mut(&number) else {
            return Ok(());
        };
        let segment = files.segments.back().map_or(0, |last| last.segment + 1);
        let first = files.next;
        let mut beginning = files.beginning.clone();
        if first > 1 {
            Record::First(first).encode(&mut beginning);
        }
        let path = self.directory.path(FileName { number, segment });
        let created = options().create_new(true).append(true).open(&path);
        let mut file = created.map_err(|error| at(&path, &error))?;
        if let Err(error) = file.write_all(&beginning) {
            let _ = fs::remove_file(&path);
            return Err(at(&path, &error));
        }
        if files.file.replace(file).is_none() {
            self.open += 1;
        }
        files.length = beginning.len() as u64;
        files.segments.push_back(SegmentFile { segment, first });
        Ok(())
    }

    /// Opens the last file of a run, if it was closed.
    fn open(&mut self, number: u64) -> io::Result<()> {
        self.limit_open(number);
        let Some(files) = self.runs.get_mut(&number) else {
            return Ok(());
        };
        let (None, Some(last)) = (&files.file, files.segments.back()) else {
            return Ok(());
        };
        let segment = last.segment;
        let path = self.directory.path(FileName { number, segment });
        let opened = options().append(true).open(&path);
        files.file = Some(opened.map_err(|error| at(&path, &error))?);
        self.open += 1;
        Ok(())
    }

    /// Closes the file of another run, if [`MAX_OPEN`] files are open.
    fn limit_open(&mut self, number: u64) {
        if self.open < MAX_OPEN {
            return;
        }
        let mut others = self.runs.iter_mut().filter(|(other, _)| **other != number);
        if let Some((_, other)) = others.find(|(_, files)| files.file.is_some()) {
            other.file = None;
            self.open -= 1;
        }
    }

    fn trim(&mut self, number: u64, first: u64) {
        let Some(files) = self.runs.get_mut(&number) else {
            return;
        };
        while files
            .segments
            .get(1)
            .is_some_and(|next| next.first <= first)
        {
            if let Some(oldest) = files.segments.pop_front() {
                let segment = oldest.segment;
                self.directory.delete(FileName { number, segment });
            }
        }
    }

    fn remove(&mut self, number: u64) {
        let Some(files) = self.runs.remove(&number) else {
            return;
        };
        if files.file.is_some() {
            self.open -= 1;
        }
        for SegmentFile { segment, .. } in files.segments {
            self.directory.delete(FileName { number, segment });
        }
    }
}

impl Default for RunFiles {
    fn default() -> Self {
        Self {
            segments: VecDeque::new(),
            beginning: Vec::new(),
            next: 1,
            file: None,
            length: 0,
            failed: false,
        }
    }
}

impl RunFiles {
    /// Whether the last file has items.
    fn has_items(&self) -> bool {
        self.segments
            .back()
            .is_some_and(|last| last.first < self.next)
    }
}

fn at(path: &std::path::Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}
