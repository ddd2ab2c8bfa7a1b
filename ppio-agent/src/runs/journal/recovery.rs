//! Restores the runs of an earlier process from the journal's files.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io::{self, BufReader, Write as _};
use std::time::{Duration, SystemTime};

use ppio_agent_protocol::RunStatus;

use super::JournalLimits;
use super::directory::{FileName, JournalDirectory, SegmentFile, options};
use super::record::{
    MAGIC, ReadError, Record, RecordReader, RunStart, StoredAnswer, StoredEnd, StoredHead,
    milliseconds, time,
};
use crate::exchange::error::Error;
use crate::exchange::rejection::Rejection;

/// A run of an earlier process. The run has ended, or was interrupted when that process ended.
pub(in crate::runs) struct RecoveredRun {
    pub(in crate::runs) number: u64,
    pub(in crate::runs) start: RunStart,
    pub(in crate::runs) head: Option<StoredHead>,
    /// The number of the first item.
    pub(in crate::runs) first: u64,
    /// The items in the chunks in which they were appended, each chunk with its number of items.
    pub(in crate::runs) items: Vec<(u64, Vec<u8>)>,
    pub(in crate::runs) end: StoredEnd,
    pub(super) files: VecDeque<SegmentFile>,
}

pub(super) struct Recovered {
    /// The runs, in the order in which they started.
    pub(super) runs: Vec<RecoveredRun>,
    pub(super) next_number: u64,
}

/// A run that is being read from its files.
struct PartialRun {
    start: RunStart,
    head: Option<StoredHead>,
    first: u64,
    next: u64,
    items: Vec<(u64, Vec<u8>)>,
    end: Option<StoredEnd>,
    files: VecDeque<SegmentFile>,
    /// The length of the last file up to the end of its last complete record, in bytes.
    length: u64,
    /// The size of the records that are kept, in bytes.
    size: u64,
}

/// The result of reading the files of a run.
enum FoundRun {
    Run(Box<PartialRun>),
    /// The process was killed before the first record was written.
    NotStarted,
    /// The files were not written by an agent, or the first record is damaged.
    Foreign,
    /// The run is larger than the current limits.
    TooLarge,
}

/// Reads all runs. The newest runs are read first, and runs over the limits are deleted.
pub(super) fn recover(
    directory: &JournalDirectory,
    limits: JournalLimits,
) -> io::Result<Recovered> {
    let mut by_number: BTreeMap<u64, Vec<u32>> = BTreeMap::new();
    for file in directory.files()? {
        by_number.entry(file.number).or_default().push(file.segment);
    }
    let next_number = by_number.last_key_value().map_or(0, |(last, _)| last + 1);
    let mut runs = Vec::new();
    let mut left = limits.total_size as u64;
    for (number, segments) in by_number.into_iter().rev() {
        let found = match read(directory, number, &segments, limits)? {
            FoundRun::Foreign => {
                let path = directory.path(FileName {
                    number,
                    segment: segments.first().copied().unwrap_or_default(),
                });
                tracing::warn!(
                    path = %path.display(),
                    "ignoring a file in the journal that was not written by an agent"
                );
                continue;
            }
            FoundRun::Run(run) if run.size <= left && runs.len() < limits.runs => Some(run),
            FoundRun::Run(_) | FoundRun::NotStarted | FoundRun::TooLarge => None,
        };
        let kept = |segment: &u32| {
            let files = found.as_ref().map(|run| &run.files);
            files.is_some_and(|files| files.iter().any(|file| file.segment == *segment))
        };
        for segment in segments.iter().copied().filter(|segment| !kept(segment)) {
            directory.delete(FileName { number, segment });
        }
        if let Some(run) = found {
            left -= run.size;
            runs.push(run.finish(directory, number)?);
        }
    }
    runs.reverse();
    Ok(Recovered { runs, next_number })
}

/// Reads the files of a run, in order.
fn read(
    directory: &JournalDirectory,
    number: u64,
    segments: &[u32],
    limits: JournalLimits,
) -> io::Result<FoundRun> {
    let mut run: Option<Box<PartialRun>> = None;
    for &segment in segments {
        let name = FileName { number, segment };
        let path = directory.path(name);
        let file = File::open(&path)?;
        let length = file.metadata()?.len();
        let reader = RecordReader::new(BufReader::new(file), length, limits.run_size);
        let read = reader.and_then(|mut reader| read_file(&mut reader, segment, &mut run));
        let is_cut = match read {
            Ok(()) => false,
            Err(ReadError::Io(error)) => return Err(error),
            Err(ReadError::TooLarge) if run.is_some() => return Ok(FoundRun::TooLarge),
            Err(ReadError::Damaged | ReadError::TooLarge) if run.is_none() => {
                return Ok(FoundRun::Foreign);
            }
            Err(ReadError::Torn) => true,
            Err(ReadError::Damaged | ReadError::TooLarge) => {
                tracing::warn!(
                    path = %path.display(),
                    "a file of the journal is damaged; the records after the damage are lost"
                );
                true
            }
        };
        let size = run.as_ref().map_or(0, |run| run.size);
        // Twice the limit is allowed, since a value or an item of the full size may follow other
        // items.
        if size > limits.run_size.saturating_mul(2) as u64 {
            return Ok(FoundRun::TooLarge);
        }
        if is_cut || run.as_ref().is_some_and(|run| run.end.is_some()) {
            break;
        }
    }
    Ok(run.map_or(FoundRun::NotStarted, FoundRun::Run))
}

/// Adds the records of one file to the run.
fn read_file(
    reader: &mut RecordReader<BufReader<File>>,
    segment: u32,
    run: &mut Option<Box<PartialRun>>,
) -> Result<(), ReadError> {
    let Some((Record::Start(start), start_size)) = reader.next()? else {
        // A file has no record if the process was killed while it created the file.
        return Err(ReadError::Torn);
    };
    let mut length = MAGIC.len() as u64 + start_size;
    let mut beginning = Vec::new();
    let mut first = 1;
    let mut record = reader.next();
    // A later file of a run repeats the head, and has a record with the number of its first item.
    while let Ok(Some((Record::Head(_) | Record::First(_), _))) = &record {
        if let Ok(Some((found, size))) = record {
            length += size;
            match found {
                Record::First(number) => first = number,
                head => beginning.push(head),
            }
        }
        record = reader.next();
    }
    let run = match run {
        Some(run) => {
            if run.start != start || run.next != first {
                return Err(ReadError::Damaged);
            }
            run
        }
        none => none.insert(Box::new(PartialRun {
            start,
            head: None,
            first,
            next: first,
            items: Vec::new(),
            end: None,
            files: VecDeque::new(),
            length: 0,
            size: 0,
        })),
    };
    for head in beginning {
        if let Record::Head(head) = head {
            run.head = Some(head);
        }
    }
    run.files.push_back(SegmentFile { segment, first });
    run.length = length;
    while let Some((found, size)) = record? {
        match found {
            Record::Head(head) => run.head = Some(head),
            Record::Items { count, bytes } if run.fits(count, &bytes) => {
                run.next += count;
                run.items.push((count, bytes));
            }
            Record::End(end) => run.end = Some(end),
            _ => return Err(ReadError::Damaged),
        }
        run.length += size;
        let is_dropped = |end: &StoredEnd| end.answer == StoredAnswer::Dropped;
        if !run.end.as_ref().is_some_and(is_dropped) {
            run.size += size;
        }
        if run.end.is_some() {
            break;
        }
        record = reader.next();
    }
    Ok(())
}

impl PartialRun {
    /// Whether `bytes` contains `count` items.
    fn fits(&self, count: u64, bytes: &[u8]) -> bool {
        match self.head {
            None => false,
            Some(StoredHead::Response(..)) => count == 1,
            Some(StoredHead::Events) => {
                let lines = memchr::memchr_iter(b'\n', bytes).count() as u64;
                count > 0 && Some(lines) == count.checked_mul(2) && bytes.ends_with(b"\n\n")
            }
        }
    }

    /// Returns the run. If the run was interrupted, an end is added to the run and to its last
    /// file.
    fn finish(self, directory: &JournalDirectory, number: u64) -> io::Result<RecoveredRun> {
        let end = if let Some(end) = self.end {
            end
        } else {
            let end = interrupted(&self.start);
            if let Some(&SegmentFile { segment, .. }) = self.files.back() {
                let path = directory.path(FileName { number, segment });
                let mut file = options().append(true).open(path)?;
                // Removes an incomplete record.
                file.set_len(self.length)?;
                let mut encoded = Vec::new();
                Record::End(end.clone()).encode(&mut encoded);
                file.write_all(&encoded)?;
            }
            end
        };
        Ok(RecoveredRun {
            number,
            start: self.start,
            head: self.head,
            first: self.first,
            items: self.items,
            end,
            files: self.files,
        })
    }
}

/// Returns the end of a run whose process ended before the run did.
fn interrupted(start: &RunStart) -> StoredEnd {
    let now = SystemTime::now();
    let error = Error::from(Rejection::AgentStopped);
    let ran = now.duration_since(time(start.started_at));
    StoredEnd {
        status: RunStatus::Interrupted,
        continues: start.continues,
        ended_at: milliseconds(now),
        answer: StoredAnswer::Failed {
            status: error.status().as_u16(),
            error_type: error.error_type().to_owned(),
            message: error.message().to_owned(),
            body: None,
            duration: ran.unwrap_or(Duration::ZERO),
        },
    }
}
