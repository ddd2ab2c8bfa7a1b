//! The log of a run: the encoded items of its answer, in order.
//!
//! Items are stored as in a stream without ids, `data: …` and an empty line, so that readers
//! without ids are sent the stored bytes themselves. The ids are the numbers of the items from 1,
//! so they are not stored; they are written between the items for readers that request them.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

/// The maximum size of a segment of small items, and about the maximum size of one read with ids,
/// in bytes.
const SEGMENT_SIZE: usize = 32 * 1024;
/// The minimum size of events that become a segment without being copied, in bytes.
const MIN_LARGE_EVENTS: usize = 4 * 1024;

/// The items that are kept. The oldest can be dropped, so the first kept one is not always item 1.
pub(super) struct RunLog {
    segments: VecDeque<Segment>,
    /// The newest items, until they become a segment.
    tail: Segment<Vec<u8>>,
    /// The id of the next item.
    next: u64,
    /// The size of all kept items, in bytes.
    size: usize,
    /// The size in bytes that each [`append`](Self::append) counts in addition to the items.
    overhead: usize,
    max_segment: usize,
}

/// Consecutive items.
struct Segment<B = Bytes> {
    /// The id of the first item of the segment.
    first: u64,
    bytes: B,
    /// The size of the segment in bytes, as the log counts it.
    size: usize,
}

/// A position in a log: before an item.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor {
    /// The id of the item.
    pub(super) next: u64,
    /// The id of the first item of the segment that `offset` belongs to.
    segment: u64,
    offset: usize,
}

impl Cursor {
    /// Returns the position after the item with this id; 0 is the start.
    pub(super) fn after(id: u64) -> Self {
        Self {
            next: id + 1,
            segment: 0,
            offset: 0,
        }
    }
}

impl RunLog {
    /// Returns an empty log that will hold about `max_size` bytes, and whose first item has the
    /// number `first`.
    pub(super) fn new(first: u64, max_size: usize, overhead: usize) -> Self {
        Self {
            segments: VecDeque::new(),
            tail: Segment {
                first,
                bytes: Vec::new(),
                size: 0,
            },
            next: first,
            size: 0,
            overhead,
            // The oldest items are dropped one segment at a time, so a small log needs small
            // segments.
            max_segment: SEGMENT_SIZE.min(max_size / 4).max(1),
        }
    }

    /// Appends whole items. All items that readers receive are appended here, after they were
    /// written to the journal, if there is one.
    pub(super) fn append(&mut self, events: Vec<u8>, items: u64) {
        let size = events.len() + self.overhead;
        self.size += size;
        let is_large = events.len() >= MIN_LARGE_EVENTS.min(self.max_segment);
        if is_large || self.tail.bytes.len() + events.len() > self.max_segment {
            self.seal();
        }
        if is_large {
            let bytes = exact(events);
            let first = self.next;
            self.segments.push_back(Segment { first, bytes, size });
        } else {
            self.tail.bytes.extend_from_slice(&events);
            self.tail.size += size;
        }
        self.next += items;
        if is_large {
            self.tail.first = self.next;
        }
    }

    /// Turns the newest items into a segment.
    pub(super) fn seal(&mut self) {
        if !self.tail.bytes.is_empty() {
            self.segments.push_back(Segment {
                first: self.tail.first,
                bytes: exact(std::mem::take(&mut self.tail.bytes)),
                size: std::mem::take(&mut self.tail.size),
            });
        }
        self.tail.first = self.next;
    }

    /// Drops the oldest segment. Returns the size of the segment in bytes; 0 if the log is empty.
    pub(super) fn drop_oldest(&mut self) -> usize {
        if self.segments.is_empty() {
            self.seal();
        }
        let dropped = self.segments.pop_front();
        let size = dropped.map_or(0, |segment| segment.size);
        self.size -= size;
        size
    }

    /// Returns the size of the kept items, in bytes.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// Returns the number of items that were appended, including dropped items.
    pub(super) fn items(&self) -> u64 {
        self.next - 1
    }

    /// Returns the id of the oldest kept item, or of the next item if none is kept.
    pub(super) fn first(&self) -> u64 {
        self.segments
            .front()
            .map_or(self.tail.first, |segment| segment.first)
    }

    /// Returns the id after the last item of the oldest segment.
    pub(super) fn end_of_oldest(&self) -> u64 {
        match self.segments.get(1) {
            Some(second) => second.first,
            None if self.segments.is_empty() => self.next,
            None => self.tail.first,
        }
    }

    /// Reads items from the cursor on, and moves the cursor past them; returns no bytes if there
    /// are no more items. The cursor must not be before [`first`](Self::first).
    pub(super) fn read(&self, cursor: &mut Cursor, with_ids: bool) -> Bytes {
        if cursor.next >= self.next {
            return Bytes::new();
        }
        let behind = self
            .segments
            .partition_point(|segment| segment.first <= cursor.next);
        if cursor.next >= self.tail.first {
            cursor.enter(self.tail.first, &self.tail.bytes);
            if !with_ids {
                let items = Bytes::copy_from_slice(&self.tail.bytes[cursor.offset..]);
                cursor.offset = self.tail.bytes.len();
                cursor.next = self.next;
                return items;
            }
            return cursor.read_with_ids(&self.tail.bytes);
        }
        let segment = &self.segments[behind - 1];
        cursor.enter(segment.first, &segment.bytes);
        if !with_ids {
            let items = segment.bytes.slice(cursor.offset..);
            cursor.offset = segment.bytes.len();
            cursor.next = self
                .segments
                .get(behind)
                .map_or(self.tail.first, |following| following.first);
            return items;
        }
        cursor.read_with_ids(&segment.bytes)
    }
}

impl Cursor {
    /// Finds the offset of the next item in a segment that contains it.
    fn enter(&mut self, first: u64, bytes: &[u8]) {
        if self.segment != first {
            self.segment = first;
            self.offset = 0;
            for _ in first..self.next {
                self.offset += item_length(&bytes[self.offset..]);
            }
        }
    }

    /// Reads items of a segment with their ids, up to about [`SEGMENT_SIZE`] bytes.
    fn read_with_ids(&mut self, bytes: &[u8]) -> Bytes {
        let mut out = BytesMut::with_capacity((bytes.len() - self.offset).min(SEGMENT_SIZE) + 256);
        while self.offset < bytes.len() && out.len() < SEGMENT_SIZE {
            let rest = &bytes[self.offset..];
            let length = item_length(rest);
            write_id(&mut out, self.next);
            out.extend_from_slice(&rest[..length]);
            self.offset += length;
            self.next += 1;
        }
        out.freeze()
    }
}

/// Returns the length of the first of `items`, in bytes: one line of data and an empty line.
fn item_length(items: &[u8]) -> usize {
    memchr::memchr(b'\n', items).map_or(items.len(), |line| (line + 2).min(items.len()))
}

/// Writes the `id:` line of an event.
fn write_id(out: &mut BytesMut, id: u64) {
    let mut digits = [0; 20];
    let mut start = digits.len();
    let mut rest = id;
    loop {
        start -= 1;
        digits[start] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(b"id: ");
    out.extend_from_slice(&digits[start..]);
    out.extend_from_slice(b"\n");
}

/// Returns the bytes without much spare capacity, because the limits do not count spare capacity.
fn exact(mut bytes: Vec<u8>) -> Bytes {
    if bytes.capacity() > bytes.len() + bytes.len() / 8 {
        bytes.shrink_to_fit();
    }
    bytes.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(number: u64, length: usize) -> Vec<u8> {
        format!("data: \"{number}{}\"\n\n", "x".repeat(length)).into_bytes()
    }

    fn read_all(log: &RunLog, mut cursor: Cursor, with_ids: bool) -> String {
        let mut all = Vec::new();
        loop {
            let read = log.read(&mut cursor, with_ids);
            if read.is_empty() {
                assert_eq!(cursor.next, log.items() + 1);
                return String::from_utf8(all).unwrap();
            }
            all.extend_from_slice(&read);
        }
    }

    /// Returns logs of short and long items, appended one by one and together, and their items.
    fn logs() -> Vec<(RunLog, Vec<String>)> {
        let mut random = fastrand::Rng::with_seed(7);
        (0..40)
            .map(|_| {
                let mut log = RunLog::new(1, random.usize(1..200_000), 0);
                let mut items = Vec::new();
                for _ in 0..random.usize(0..60) {
                    let mut events = Vec::new();
                    let together = random.u64(1..5);
                    for _ in 0..together {
                        let length = random.choice([0, 10, 500, 5000, 40_000]).unwrap();
                        let item = item(items.len() as u64 + 1, length);
                        events.extend_from_slice(&item);
                        items.push(String::from_utf8(item).unwrap());
                    }
                    log.append(events, together);
                }
                (log, items)
            })
            .collect()
    }

    #[test]
    fn every_item_is_read_once_from_any_position() {
        for (log, items) in logs() {
            assert_eq!(log.items(), items.len() as u64);
            assert_eq!(log.size(), items.iter().map(String::len).sum::<usize>());
            for after in 0..=items.len() {
                let rest = &items[after..];
                let cursor = Cursor::after(after as u64);
                assert_eq!(read_all(&log, cursor, false), rest.concat());
                let with_ids: Vec<_> = rest
                    .iter()
                    .enumerate()
                    .map(|(at, item)| format!("id: {}\n{item}", after + at + 1))
                    .collect();
                assert_eq!(read_all(&log, cursor, true), with_ids.concat());
            }
        }
    }

    #[test]
    fn a_cursor_stays_valid_while_items_are_appended_and_sealed() {
        for with_ids in [false, true] {
            let mut log = RunLog::new(1, 1000, 0);
            let mut cursor = Cursor::after(0);
            let mut read = Vec::new();
            for number in 1..200 {
                log.append(item(number, (number % 90) as usize), 1);
                if number % 3 == 0 {
                    read.extend_from_slice(&log.read(&mut cursor, with_ids));
                }
                if number % 50 == 0 {
                    log.seal();
                }
            }
            loop {
                let more = log.read(&mut cursor, with_ids);
                if more.is_empty() {
                    break;
                }
                read.extend_from_slice(&more);
            }
            let all = read_all(&log, Cursor::after(0), with_ids);
            assert_eq!(String::from_utf8(read).unwrap(), all);
        }
    }

    #[test]
    fn the_oldest_items_are_dropped_by_segments() {
        for (mut log, items) in logs() {
            let mut size = log.size();
            while log.size() > 0 {
                let end = log.end_of_oldest();
                size -= log.drop_oldest();
                assert_eq!((log.first(), log.size()), (end, size));
                let rest = &items[usize::try_from(end - 1).unwrap()..];
                assert_eq!(read_all(&log, Cursor::after(end - 1), false), rest.concat());
            }
            assert_eq!(log.items(), items.len() as u64);
            assert_eq!(log.drop_oldest(), 0);
        }
    }
}
