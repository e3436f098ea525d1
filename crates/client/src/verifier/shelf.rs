//! Where reports of usage wait for the service: files in the journal's directory, or memory without one.
//!
//! A line is a checksum and a record, as JSON. A line that broke off or was damaged is lost alone. Files are
//! written by one process, never after they were read to their end, and removed once the service has all of
//! their records; so a file may be reported once more after a crash, which the service notices.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, Read as _, Seek as _, SeekFrom, Write as _};
use std::ops::Range;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use hokusai_api::usage::UsageRecord;

use super::journal::JournalError;

const PREFIX: &str = "reports-";
/// A file of this size is not written to any longer, in bytes.
const FULL: u64 = 4 * 1024 * 1024;
/// The most that is read at once, in bytes.
const AT_ONCE: u64 = 512 * 1024;
/// The most records that are read at once. They are about as many bytes.
const MOST_RECORDS: usize = 2000;
/// The most that waits in memory where nothing can be written down, in bytes.
const MOST_IN_MEMORY: u64 = 16 * 1024 * 1024;

/// Records that wait, oldest first.
#[derive(Debug)]
pub(crate) struct Shelf {
    directory: Option<PathBuf>,
    parts: VecDeque<Part>,
    /// The number of the next file.
    next: u64,
    most: u64,
    /// How much of the oldest part is done with.
    done: u64,
}

#[derive(Debug)]
struct Part {
    place: Place,
    length: u64,
}

#[derive(Debug)]
enum Place {
    /// A file; open while it may still be written to.
    File(PathBuf, Option<File>),
    Memory(Vec<u8>),
}

/// Records as they were written down: JSON whose checksums are right. It is not read but for a reason.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Written {
    text: Vec<u8>,
    /// Where in the text each is.
    places: Vec<Range<usize>>,
}

/// Records that were read.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Read {
    pub(crate) records: Written,
    /// Lines that held none.
    pub(crate) damaged: u64,
    /// How many bytes these were.
    pub(crate) bytes: u64,
}

/// Adds the line of a record, which `write` adds in the form of a [`UsageRecord`].
pub(crate) fn add_line(lines: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>) -> io::Result<()>) {
    let checksum = lines.len()..lines.len() + 8;
    lines.extend_from_slice(b"00000000 ");
    let json = lines.len();
    write(lines).expect("memory takes whatever is written");
    let hash = crc32fast::hash(&lines[json..]);
    write!(&mut lines[checksum], "{hash:08x}").expect("it has eight digits");
    lines.push(b'\n');
}

/// The JSON in a line, if its checksum is right.
fn read_line(line: &[u8]) -> Option<&[u8]> {
    let (checksum, json) = line.split_at_checked(8)?;
    let json = json.strip_prefix(b" ")?;
    let checksum = u32::from_str_radix(std::str::from_utf8(checksum).ok()?, 16).ok()?;
    (checksum == crc32fast::hash(json)).then_some(json)
}

impl Written {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// The records, but for what is none, which the checksum all but rules out.
    pub(crate) fn records(&self) -> impl Iterator<Item = UsageRecord> {
        self.parts().filter_map(|json| serde_json::from_slice(json).ok())
    }

    /// The body of a batch of these: a [`UsageBatch`](hokusai_api::usage::UsageBatch).
    pub(crate) fn batch(&self) -> Vec<u8> {
        let (begin, end) = (r#"{"records":["#, "]}");
        let length: usize = self.parts().map(|json| json.len() + 1).sum();
        let mut body = Vec::with_capacity(begin.len() + length + end.len());
        body.extend_from_slice(begin.as_bytes());
        for (number, json) in self.parts().enumerate() {
            if number > 0 {
                body.push(b',');
            }
            body.extend_from_slice(json);
        }
        body.extend_from_slice(end.as_bytes());
        body
    }

    fn parts(&self) -> impl Iterator<Item = &[u8]> {
        self.places.iter().map(|place| &self.text[place.clone()])
    }
}

/// Records that were changed.
impl FromIterator<UsageRecord> for Written {
    fn from_iter<I: IntoIterator<Item = UsageRecord>>(records: I) -> Self {
        let mut written = Self::default();
        for record in records {
            let begin = written.text.len();
            serde_json::to_writer(&mut written.text, &record)
                .expect("texts and numbers can be written as JSON");
            written.places.push(begin..written.text.len());
        }
        written
    }
}

impl Shelf {
    /// A shelf of at most `most` bytes, with what processes before this one left in the directory.
    pub(crate) fn open(directory: Option<&Path>, most: u64) -> Result<Self, JournalError> {
        let mut found: Vec<(u64, Part)> = match directory {
            None => Vec::new(),
            Some(directory) => find(directory)
                .map_err(|cause| JournalError::Unusable { path: directory.to_owned(), cause })?,
        };
        found.sort_by_key(|(number, _)| *number);
        let next = found.last().map_or(1, |(number, _)| number + 1);
        let most = if directory.is_some() { most } else { most.min(MOST_IN_MEMORY) };
        let parts = found.into_iter().map(|(_, part)| part).collect();
        Ok(Self { directory: directory.map(Path::to_owned), parts, next, most, done: 0 })
    }

    /// Bytes that wait.
    pub(crate) fn bytes(&self) -> u64 {
        self.parts.iter().map(|part| part.length).sum::<u64>() - self.done
    }

    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes() == 0
    }

    /// Puts whole lines on the shelf. Says how many there was no room for: what came before stays.
    pub(crate) fn put(&mut self, lines: &[u8]) -> u64 {
        let held = self.parts.iter().map(|part| part.length).sum();
        let (fit, rest) = split(lines, self.most.saturating_sub(held));
        if fit.is_empty() || self.put_in_file(fit).is_ok() {
            return count(rest);
        }
        let in_memory = self.parts.iter().filter(|part| matches!(part.place, Place::Memory(_)));
        let room = MOST_IN_MEMORY.saturating_sub(in_memory.map(|part| part.length).sum());
        let (fit, more) = split(fit, room);
        self.put_in_memory(fit);
        count(rest) + count(more)
    }

    fn put_in_file(&mut self, lines: &[u8]) -> io::Result<()> {
        let Some(directory) = &self.directory else { return Err(io::ErrorKind::Unsupported.into()) };
        let is_open = |part: &Part| part.length < FULL && matches!(part.place, Place::File(_, Some(_)));
        if !self.parts.back().is_some_and(is_open) {
            if let Some(Part { place: Place::File(_, file), .. }) = self.parts.back_mut() {
                *file = None;
            }
            let path = directory.join(format!("{PREFIX}{}", self.next));
            let file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(&path);
            // A name that is taken is taken for good.
            self.next += 1;
            self.parts.push_back(Part { place: Place::File(path, Some(file?)), length: 0 });
        }
        let Some(Part { place: Place::File(_, open), length }) = self.parts.back_mut() else { return Ok(()) };
        let Some(file) = open else { return Ok(()) };
        let written = file.write_all(lines);
        match written {
            Ok(()) => *length += lines.len() as u64,
            Err(_) => {
                // What broke off is no line, and nothing is to follow it.
                let _ = file.set_len(*length);
                *open = None;
            }
        }
        written
    }

    fn put_in_memory(&mut self, lines: &[u8]) {
        if lines.is_empty() {
            return;
        }
        match self.parts.back_mut() {
            Some(Part { place: Place::Memory(text), length }) => {
                text.extend_from_slice(lines);
                *length = text.len() as u64;
            }
            _ => {
                let length = lines.len() as u64;
                self.parts.push_back(Part { place: Place::Memory(lines.to_owned()), length });
            }
        }
    }

    /// The oldest records that wait; `None` if none do. They go on waiting.
    pub(crate) fn read(&mut self) -> Option<Read> {
        loop {
            let Part { place, length } = self.parts.front_mut()?;
            if self.done >= *length {
                self.drop_first();
                continue;
            }
            let from = self.done;
            let size = (*length - from).min(AT_ONCE);
            let chunk = match place {
                Place::Memory(text) => Ok(text[at(from)..at(from + size)].to_owned()),
                Place::File(path, _) => read_from(path, from, at(size)),
            };
            match chunk {
                Ok(chunk) => return Some(read_lines(chunk, from + size == *length)),
                Err(error) => {
                    // The next process on this directory tries again.
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "reports of usage can't be read"
                    );
                    self.parts.pop_front();
                    self.done = 0;
                }
            }
        }
    }

    /// The service has what was read last.
    pub(crate) fn finish(&mut self, bytes: u64) {
        self.done += bytes;
        if self.parts.front().is_some_and(|part| self.done >= part.length) {
            self.drop_first();
        }
    }

    fn drop_first(&mut self) {
        self.done = 0;
        if let Some(Part { place: Place::File(path, _), .. }) = self.parts.pop_front() {
            // What stays is reported once more, which the service notices.
            let _ = std::fs::remove_file(path);
        }
    }
}

fn find(directory: &Path) -> io::Result<Vec<(u64, Part)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.parse().ok());
        if let Some(number) = number {
            let length = entry.metadata()?.len();
            found.push((number, Part { place: Place::File(entry.path(), None), length }));
        }
    }
    Ok(found)
}

fn read_from(path: &Path, from: u64, size: usize) -> io::Result<Vec<u8>> {
    let (mut file, mut bytes) = (File::open(path)?, Vec::with_capacity(size));
    file.seek(SeekFrom::Start(from))?;
    let read = file.take(size as u64).read_to_end(&mut bytes)?;
    if read < size { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(bytes) }
}

/// As many records as may be read at once. `is_all` says that nothing comes after these bytes.
fn read_lines(bytes: Vec<u8>, is_all: bool) -> Read {
    let (mut places, mut damaged, mut length) = (Vec::with_capacity(MOST_RECORDS), 0, 0);
    for line in lines(&bytes) {
        let is_whole = line.ends_with(b"\n");
        if places.len() == MOST_RECORDS || !(is_whole || is_all || line.len() == bytes.len()) {
            break;
        }
        let begin = length;
        length += line.len();
        // A machine that lost its power may leave zeros before what was written last.
        let text = line.trim_ascii_end();
        let zeros = text.iter().take_while(|byte| **byte == 0).count();
        let text = &text[zeros..];
        match read_line(text).filter(|_| is_whole) {
            Some(json) => {
                let end = begin + zeros + text.len();
                places.push(end - json.len()..end);
            }
            None if text.is_empty() => {}
            None => damaged += 1,
        }
    }
    Read { records: Written { text: bytes, places }, damaged, bytes: length as u64 }
}

/// The lines of a text, with what ends them.
fn lines(mut text: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let rest = text;
        let length = text.skip_until(b'\n').ok().filter(|length| *length > 0)?;
        Some(&rest[..length])
    })
}

/// The lines that fit into `room` bytes, and the others.
fn split(lines: &[u8], room: u64) -> (&[u8], &[u8]) {
    let room = at(room).min(lines.len());
    let end = lines[..room].iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
    lines.split_at(end)
}

fn count(lines: &[u8]) -> u64 {
    lines.iter().filter(|byte| **byte == b'\n').count() as u64
}

fn at(place: u64) -> usize {
    usize::try_from(place).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use hokusai_api::usage::UsageBatch;

    use super::*;

    fn record(name: &str) -> UsageRecord {
        UsageRecord { endpoint: name.into(), idempotency_key: Some(name.into()), ..UsageRecord::default() }
    }

    fn line(record: &UsageRecord) -> String {
        let mut lines = Vec::new();
        add_line(&mut lines, |line| Ok(serde_json::to_writer(line, record)?));
        String::from_utf8(lines).unwrap()
    }

    fn names(read: &Read) -> Vec<String> {
        read.records.records().map(|record| record.endpoint).collect()
    }

    fn files(directory: &Path) -> Vec<PathBuf> {
        std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect()
    }

    #[test]
    fn what_waits_outlives_its_process_and_is_dropped_once_it_is_reported() {
        let directory = tempfile::tempdir().unwrap();
        let mut shelf = Shelf::open(Some(directory.path()), 1000).unwrap();
        assert_eq!(shelf.put(line(&record("a")).as_bytes()), 0);
        drop(shelf);
        let mut shelf = Shelf::open(Some(directory.path()), 1000).unwrap();
        assert_eq!(shelf.put(line(&record("b")).as_bytes()), 0);
        assert_eq!(files(directory.path()).len(), 2);
        for name in ["a", "b"] {
            let read = shelf.read().unwrap();
            assert_eq!(names(&read), [name]);
            // Nothing goes before it is said to be taken.
            assert_eq!(shelf.read().unwrap(), read);
            shelf.finish(read.bytes);
        }
        assert_eq!(shelf.read(), None);
        assert!(shelf.is_empty());
        assert_eq!(files(directory.path()), [] as [PathBuf; 0]);
    }

    #[test]
    fn a_broken_line_is_lost_alone() {
        let directory = tempfile::tempdir().unwrap();
        let [a, b, c] = ["a", "b", "c"].map(|name| line(&record(name)));
        let damaged = b.replace("\"b\"", "\"x\"");
        let text = format!("{a}{damaged}nonsense\n\n\0\0\0{c}{}", &b[..b.len() - 1]);
        std::fs::write(directory.path().join("reports-7"), text).unwrap();
        let mut shelf = Shelf::open(Some(directory.path()), 10_000).unwrap();
        let read = shelf.read().unwrap();
        assert_eq!((names(&read), read.damaged), (vec!["a".into(), "c".into()], 3));
        assert_eq!(shelf.put(b.as_bytes()), 0);
        shelf.finish(read.bytes);
        let read = shelf.read().unwrap();
        assert_eq!((names(&read), read.damaged), (vec!["b".into()], 0));
    }

    #[test]
    fn what_has_no_room_goes_and_what_came_before_stays() {
        let one = line(&record("a")).len() as u64;
        let directory = tempfile::tempdir().unwrap();
        for directory in [None, Some(directory.path())] {
            let mut shelf = Shelf::open(directory, 3 * one + 1).unwrap();
            let lines: String = ["a", "b"].map(|name| line(&record(name))).concat();
            assert_eq!(shelf.put(lines.as_bytes()), 0);
            let lines: String = ["c", "d", "e"].map(|name| line(&record(name))).concat();
            assert_eq!(shelf.put(lines.as_bytes()), 2);
            assert_eq!(shelf.bytes(), 3 * one);
            let read = shelf.read().unwrap();
            assert_eq!(names(&read), ["a", "b", "c"]);
            shelf.finish(read.bytes);
            assert_eq!(shelf.put(lines.as_bytes()), 0);
        }
    }

    #[test]
    fn what_can_t_be_written_down_waits_in_memory() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("books");
        std::fs::create_dir(&path).unwrap();
        let mut shelf = Shelf::open(Some(&path), 10_000).unwrap();
        std::fs::remove_dir(&path).unwrap();
        for name in ["a", "b"] {
            assert_eq!(shelf.put(line(&record(name)).as_bytes()), 0);
        }
        std::fs::create_dir(&path).unwrap();
        assert_eq!(shelf.put(line(&record("c")).as_bytes()), 0);
        assert_eq!(files(&path).len(), 1);
        let read = shelf.read().unwrap();
        assert_eq!(names(&read), ["a", "b"]);
        shelf.finish(read.bytes);
        assert_eq!(names(&shelf.read().unwrap()), ["c"]);
    }

    #[test]
    fn many_records_are_read_in_parts_and_in_order() {
        let mut shelf = Shelf::open(None, u64::MAX).unwrap();
        let wanted: Vec<String> = (0..4500).map(|number| number.to_string()).collect();
        for name in &wanted {
            assert_eq!(shelf.put(line(&record(name)).as_bytes()), 0);
        }
        let mut seen = Vec::new();
        while let Some(read) = shelf.read() {
            assert!(read.records.len() <= MOST_RECORDS);
            seen.extend(names(&read));
            shelf.finish(read.bytes);
        }
        assert_eq!(seen, wanted);
    }

    #[test]
    fn a_batch_is_what_its_records_are() {
        let mut shelf = Shelf::open(None, u64::MAX).unwrap();
        assert_eq!(Written::default().batch(), br#"{"records":[]}"#);
        let records = ["a", "\"b\"", "c, d"].map(record);
        for record in &records {
            assert_eq!(shelf.put(line(record).as_bytes()), 0);
        }
        let read = shelf.read().unwrap().records;
        for written in [&read, &read.records().collect()] {
            let batch: UsageBatch = serde_json::from_slice(&written.batch()).unwrap();
            assert_eq!(batch.records, records);
            assert_eq!(written.len(), 3);
        }
    }

    #[test]
    fn a_file_without_lines_is_passed_over() {
        let directory = tempfile::tempdir().unwrap();
        let size = at(AT_ONCE) + 10;
        std::fs::write(directory.path().join("reports-1"), vec![b'x'; size]).unwrap();
        let mut shelf = Shelf::open(Some(directory.path()), u64::MAX).unwrap();
        let mut bytes = 0;
        while let Some(read) = shelf.read() {
            assert_eq!((read.records.len(), read.damaged), (0, 1));
            bytes += read.bytes;
            shelf.finish(read.bytes);
        }
        assert_eq!(at(bytes), size);
    }
}
