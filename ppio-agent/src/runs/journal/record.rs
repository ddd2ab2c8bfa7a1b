//! The records in the files of runs.
//!
//! A file begins with [`MAGIC`]. A record consists of the length and a checksum of its content,
//! each of four bytes in little-endian order, and the content itself: a byte for the kind, and the
//! data. The data is JSON, except for the numbers of items, which are stored in little-endian
//! order, and for items and values, which are stored as they are.

use std::hash::Hasher as _;
use std::io::{self, Read};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use ppio_agent_protocol::RunStatus;
use serde::{Deserialize, Serialize};

use crate::runs::stable_hasher::StableHasher;
use crate::runs::tag::RunTag;

/// The beginning of each file of a run. The last digit is the version of the format.
pub(super) const MAGIC: &[u8] = b"ppio-run-1\n";

/// The size of a record of items without the items themselves, in bytes.
pub(in crate::runs) const ITEMS_OVERHEAD: usize = HEADER_SIZE + 1 + size_of::<u64>();

/// The size of the length and the checksum, in bytes.
const HEADER_SIZE: usize = 8;

/// The maximum length of a record that holds neither items nor a value, in bytes.
const MAX_OTHER_RECORD: u64 = 1 << 20;

/// The chunk size for reading a record that is too large, in bytes.
const CHUNK: usize = 64 * 1024;

/// The maximum size of the members that precede the answer in the end of a run, in bytes.
const MAX_END_HEAD: usize = 256;

/// The kind byte of the end of a run.
const END_KIND: u8 = 5;

/// One step of a run.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::runs) enum Record {
    /// The first record of each file of a run.
    Start(RunStart),
    /// The number of the first item in a file, if it is not 1.
    First(u64),
    /// The beginning of an answer that is not a value.
    Head(StoredHead),
    /// Whole items as the log stores them, or a chunk of a response, which counts as one item.
    Items { count: u64, bytes: Vec<u8> },
    /// The last record of a run.
    End(StoredEnd),
}

/// The content of the first record in each file of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::runs) struct RunStart {
    pub(in crate::runs) id: String,
    pub(in crate::runs) session: Option<String>,
    /// `credentials` and `request` are hashes, see `Fingerprints`.
    pub(in crate::runs) credentials: Option<u128>,
    pub(in crate::runs) key: Option<String>,
    pub(in crate::runs) request: u128,
    pub(in crate::runs) continues: bool,
    /// Milliseconds since 1970.
    pub(in crate::runs) started_at: u64,
    /// Present if a protocol started the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::runs) tag: Option<Box<RunTag>>,
}

/// The beginning of an answer, as the journal stores it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::runs) enum StoredHead {
    Events,
    /// The status and the headers. Each character of a header's value is one byte.
    Response(u16, Vec<(String, String)>),
}

/// The end of a run, as the journal stores it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(in crate::runs) struct StoredEnd {
    pub(in crate::runs) status: RunStatus,
    /// Whether the policy of the run was `continue` at the end. A caller that joins the run can
    /// change the policy.
    pub(in crate::runs) continues: bool,
    /// Milliseconds since 1970.
    pub(in crate::runs) ended_at: u64,
    pub(in crate::runs) answer: StoredAnswer,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(in crate::runs) enum StoredAnswer {
    Logged,
    Value {
        /// The value. In the record, the value and the envelope follow the JSON.
        #[serde(skip)]
        json: Bytes,
        #[serde(skip)]
        envelope: Option<Bytes>,
        duration: Duration,
    },
    Failed {
        status: u16,
        error_type: String,
        message: String,
        /// The body of the response, if the handler filled it.
        body: Option<String>,
        duration: Duration,
    },
    Dropped,
}

impl StoredEnd {
    /// Reads the end of a run, without its answer, from the beginning of its record.
    fn without_answer(beginning: &[u8]) -> Option<Self> {
        // The answer is the last member.
        let member = br#","answer":"#;
        let at = memchr::memmem::find(beginning, member)?;
        let mut json = beginning[..at + member.len()].to_vec();
        json.extend_from_slice(br#""Dropped"}"#);
        serde_json::from_slice(&json).ok()
    }
}

/// The error for a record that cannot be read.
#[derive(Debug)]
pub(super) enum ReadError {
    /// The file ends within the record.
    Torn,
    /// The record differs from what was written.
    Damaged,
    /// The record is larger than a run may be.
    TooLarge,
    Io(io::Error),
}

impl Record {
    fn kind(&self) -> u8 {
        match self {
            Self::Start(_) => 1,
            Self::First(_) => 2,
            Self::Head(_) => 3,
            Self::Items { .. } => 4,
            Self::End(_) => END_KIND,
        }
    }

    /// Appends the record to `out`.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&[0; HEADER_SIZE]);
        out.push(self.kind());
        match self {
            Self::Start(start) => write_json(out, start),
            Self::Head(head) => write_json(out, head),
            Self::First(first) => out.extend_from_slice(&first.to_le_bytes()),
            Self::Items { count, bytes } => {
                out.extend_from_slice(&count.to_le_bytes());
                out.extend_from_slice(bytes);
            }
            Self::End(end) => {
                write_json(out, end);
                if let StoredAnswer::Value { json, envelope, .. } = &end.answer {
                    out.push(b'\n');
                    out.extend_from_slice(&(json.len() as u64).to_le_bytes());
                    out.extend_from_slice(json);
                    out.extend_from_slice(envelope.as_deref().unwrap_or_default());
                }
            }
        }
        let content = &out[start + HEADER_SIZE..];
        // The size of a record is limited by that of a run, and the size of a single item by the
        // memory.
        let length = u32::try_from(content.len()).unwrap_or(u32::MAX);
        let checksum = checksum(content);
        out[start..start + 4].copy_from_slice(&length.to_le_bytes());
        out[start + 4..start + HEADER_SIZE].copy_from_slice(&checksum.to_le_bytes());
    }

    fn decode(content: &[u8]) -> Option<Self> {
        let (&kind, data) = content.split_first()?;
        Some(match kind {
            1 => Self::Start(serde_json::from_slice(data).ok()?),
            2 => Self::First(u64::from_le_bytes(data.try_into().ok()?)),
            3 => Self::Head(serde_json::from_slice(data).ok()?),
            4 => {
                let (count, bytes) = data.split_first_chunk()?;
                Self::Items {
                    count: u64::from_le_bytes(*count),
                    bytes: bytes.to_vec(),
                }
            }
            END_KIND => {
                let line = memchr::memchr(b'\n', data);
                let json = &data[..line.unwrap_or(data.len())];
                let mut end: StoredEnd = serde_json::from_slice(json).ok()?;
                if let StoredAnswer::Value { json, envelope, .. } = &mut end.answer {
                    let (length, values) = data[line? + 1..].split_first_chunk()?;
                    let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
                    let (value, rest) = values.split_at_checked(length)?;
                    *json = Bytes::copy_from_slice(value);
                    // An envelope is never empty.
                    *envelope = (!rest.is_empty()).then(|| Bytes::copy_from_slice(rest));
                }
                Self::End(end)
            }
            _ => return None,
        })
    }
}

/// Serializes a struct of this file. This cannot fail, since all keys are strings.
fn write_json<T: Serialize>(out: &mut Vec<u8>, value: &T) {
    let _ = serde_json::to_writer(out, value);
}

fn checksum(content: &[u8]) -> u32 {
    let mut hasher = StableHasher::with_keys(0, 0);
    hasher.write(content);
    checksum_of(&hasher)
}

fn checksum_of(hasher: &StableHasher) -> u32 {
    let [a, b, c, d, ..] = hasher.finish().to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

/// Reads the records of a file.
pub(super) struct RecordReader<R> {
    input: R,
    /// The number of bytes of the file that remain to be read.
    left: u64,
    max_size: u64,
}

impl<R: Read> RecordReader<R> {
    /// Reads the beginning of a file of `length` bytes.
    pub(super) fn new(mut input: R, length: u64, max_size: usize) -> Result<Self, ReadError> {
        let mut magic = Vec::new();
        let limit = MAGIC.len() as u64;
        (&mut input).take(limit).read_to_end(&mut magic)?;
        if magic == MAGIC {
            Ok(Self {
                input,
                left: length.saturating_sub(limit),
                max_size: (max_size as u64).saturating_add(MAX_OTHER_RECORD),
            })
        } else if MAGIC.starts_with(&magic) {
            Err(ReadError::Torn)
        } else {
            Err(ReadError::Damaged)
        }
    }

    /// Returns the next record and its size in bytes; `None` at the end of the file.
    pub(super) fn next(&mut self) -> Result<Option<(Record, u64)>, ReadError> {
        if self.left == 0 {
            return Ok(None);
        }
        let mut header = [0; HEADER_SIZE];
        if self.left < HEADER_SIZE as u64 {
            return Err(ReadError::Torn);
        }
        self.input.read_exact(&mut header)?;
        self.left -= HEADER_SIZE as u64;
        let [a, b, c, d, sum @ ..] = header;
        let length = u32::from_le_bytes([a, b, c, d]);
        if u64::from(length) > self.left {
            return Err(ReadError::Torn);
        }
        if u64::from(length) > self.max_size {
            return self.read_large(length, u32::from_le_bytes(sum)).map(Some);
        }
        let mut content = vec![0; length as usize];
        self.input.read_exact(&mut content)?;
        self.left -= u64::from(length);
        if checksum(&content) != u32::from_le_bytes(sum) {
            return Err(ReadError::Damaged);
        }
        let record = Record::decode(&content).ok_or(ReadError::Damaged)?;
        Ok(Some((record, HEADER_SIZE as u64 + u64::from(length))))
    }
}

impl<R: Read> RecordReader<R> {
    /// Reads a record that is larger than a run may be, without holding all of it in memory. The
    /// end of a run is returned without its answer, so that the run is not lost; any other record
    /// is an error.
    fn read_large(&mut self, length: u32, sum: u32) -> Result<(Record, u64), ReadError> {
        let mut hasher = StableHasher::with_keys(0, 0);
        let mut beginning = Vec::new();
        let mut chunk = vec![0; CHUNK];
        let mut left = length as usize;
        while left > 0 {
            let read = left.min(CHUNK);
            self.input.read_exact(&mut chunk[..read])?;
            hasher.write(&chunk[..read]);
            if beginning.is_empty() {
                beginning.extend_from_slice(&chunk[..read.min(MAX_END_HEAD)]);
                if beginning.first() != Some(&END_KIND) {
                    return Err(ReadError::TooLarge);
                }
            }
            left -= read;
        }
        self.left -= u64::from(length);
        if checksum_of(&hasher) != sum {
            return Err(ReadError::Damaged);
        }
        let end = StoredEnd::without_answer(&beginning[1..]).ok_or(ReadError::Damaged)?;
        Ok((Record::End(end), HEADER_SIZE as u64 + u64::from(length)))
    }
}

impl From<io::Error> for ReadError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Torn,
            _ => Self::Io(error),
        }
    }
}

/// Converts a time to milliseconds since 1970.
pub(in crate::runs) fn milliseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Converts milliseconds since 1970 to a time. Returns 1970 if the time is out of range.
pub(in crate::runs) fn time(milliseconds: u64) -> SystemTime {
    UNIX_EPOCH
        .checked_add(Duration::from_millis(milliseconds))
        // RFC 3339 ends with the year 9999.
        .filter(|_| milliseconds < 253_402_300_800_000)
        .unwrap_or(UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records() -> Vec<Record> {
        let end = |answer| {
            Record::End(StoredEnd {
                status: RunStatus::Success,
                continues: true,
                ended_at: 5,
                answer,
            })
        };
        vec![
            Record::Start(RunStart {
                id: "a/1".to_owned(),
                session: Some("s\n".to_owned()),
                credentials: Some(u128::MAX),
                key: None,
                request: 1 << 100,
                continues: false,
                started_at: 7,
                tag: None,
            }),
            Record::First(9),
            Record::Head(StoredHead::Response(
                201,
                vec![("a".to_owned(), "\u{e9}".to_owned())],
            )),
            Record::Head(StoredHead::Events),
            Record::Items {
                count: 2,
                bytes: b"data: 1\n\ndata: 2\n\n".to_vec(),
            },
            end(StoredAnswer::Logged),
            end(StoredAnswer::Value {
                json: Bytes::from_static(b"{\"a\":\n1}"),
                envelope: None,
                duration: Duration::from_micros(7),
            }),
            end(StoredAnswer::Value {
                json: Bytes::from_static(b"1"),
                envelope: Some(Bytes::from_static(b"{\"result\":1}")),
                duration: Duration::ZERO,
            }),
            end(StoredAnswer::Failed {
                status: 409,
                error_type: "Cancelled".to_owned(),
                message: "m\nn".to_owned(),
                body: Some("{}".to_owned()),
                duration: Duration::ZERO,
            }),
            end(StoredAnswer::Dropped),
        ]
    }

    fn file() -> Vec<u8> {
        let mut file = MAGIC.to_vec();
        for record in records() {
            record.encode(&mut file);
        }
        file
    }

    /// Returns the records up to the first that cannot be read, and the error.
    fn read(file: &[u8]) -> (Vec<Record>, Option<ReadError>) {
        let mut read = Vec::new();
        let mut reader = match RecordReader::new(file, file.len() as u64, 1000) {
            Ok(reader) => reader,
            Err(error) => return (read, Some(error)),
        };
        loop {
            match reader.next() {
                Ok(Some((record, _))) => read.push(record),
                Ok(None) => return (read, None),
                Err(error) => return (read, Some(error)),
            }
        }
    }

    #[test]
    fn records_are_read_as_they_were_written() {
        let (read, error) = read(&file());
        assert!(error.is_none(), "{error:?}");
        assert_eq!(read, records());
    }

    #[test]
    fn a_file_that_is_cut_anywhere_has_its_whole_records() {
        let file = file();
        let mut ends = vec![MAGIC.len()];
        for record in records() {
            let mut encoded = Vec::new();
            record.encode(&mut encoded);
            ends.push(ends.last().unwrap() + encoded.len());
        }
        for length in 0..file.len() {
            let (read, error) = read(&file[..length]);
            let whole = ends.iter().filter(|end| **end <= length).count();
            assert_eq!(read, records()[..whole.saturating_sub(1)], "{length}");
            let is_whole = ends.contains(&length);
            assert_eq!(
                matches!(error, Some(ReadError::Torn)),
                !is_whole,
                "{length}"
            );
        }
    }

    #[test]
    fn a_changed_byte_is_detected() {
        let file = file();
        for at in 0..file.len() {
            for bit in [1, 0x80] {
                let mut changed = file.clone();
                changed[at] ^= bit;
                let (read, error) = read(&changed);
                assert!(error.is_some(), "{at}");
                assert_eq!(read, records()[..read.len()], "{at}");
            }
        }
    }

    #[test]
    fn times_are_restored_and_limited() {
        let now = SystemTime::now();
        let since = now.duration_since(time(milliseconds(now))).unwrap();
        assert!(since < Duration::from_millis(1));
        assert_eq!(time(u64::MAX), UNIX_EPOCH);
    }
}
