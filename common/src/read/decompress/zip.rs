//! ② Reads the files of a zip archive, one after another, in one pass (APPNOTE 6.3.10).
//!
//! ```text
//! Record: header of a file ─► Body ─► [Descriptor] ─► EndOfFile ─► Record ... directory ... end ─► Done
//! ```
//!
//! An archive names its files twice: in a header before each one, and in the directory at its end.
//! Because the archive is read in one pass, the headers are read first. The directory must agree
//! with them, otherwise the archive is damaged. Files and folders whose names start with `.` or
//! `_`, such as those that macOS adds, are skipped, as in the folder of a source. A line feed is
//! added to a file that does not end with one, so that its last record ends there.

use std::collections::HashMap;
use std::io;

use crc32fast::Hasher;
use flate2::{Decompress, FlushDecompress, Status};

use crate::read::content::{Content, Encoding, HEAD_BYTES, recognize};
use crate::read::decompress::step::{Progress, Step};

const FILE: u32 = 0x0403_4B50;
const DESCRIPTOR: u32 = 0x0807_4B50;
const DIRECTORY: u32 = 0x0201_4B50;
const WIDE_END: u32 = 0x0606_4B50;
const WIDE_END_LOCATOR: u32 = 0x0706_4B50;
const END: u32 = 0x0605_4B50;

const STORED: u16 = 0;
const DEFLATED: u16 = 8;
const IS_ENCRYPTED: u16 = 1;
const HAS_DESCRIPTOR: u16 = 1 << 3;
/// Value of a 32-bit length that means: the extra field has the length, in 64 bits.
const WIDE: u32 = u32::MAX;
const WIDE_EXTRA: u16 = 1;
/// Maximum number of bytes of the record that ends a 64-bit directory.
const MOST_WIDE_END_BYTES: u64 = 64 * 1024;
/// Size of the buffer for the decompressed bytes of a skipped file.
const SKIPPED_BYTES: usize = 16 * 1024;

/// Reads one archive.
pub(in crate::read) struct Zip {
    part: Part,
    /// Bytes of the archive's current record that were read so far.
    gathered: Vec<u8>,
    /// Number of bytes of the archive that were consumed.
    offset: u64,
    /// Files that were read but not yet found in the directory, by the offset of their header.
    files: HashMap<u64, Entry>,
}

enum Part {
    /// The header of a file, an entry of the directory, or another record of the archive. The first
    /// four bytes show which.
    Record,
    Body(Box<File>),
    /// The checksum and lengths after a file, if its header does not contain them.
    Descriptor(Box<File>),
    /// The end of a file, where a line feed is added if the file does not end with one.
    EndOfFile {
        line_feed: bool,
    },
    Done,
}

/// Properties of a file that its header and its entry in the directory both contain.
#[derive(Debug, PartialEq, Eq)]
struct Entry {
    name: String,
    checksum: u32,
    length: u64,
}

struct File {
    name: String,
    begins: u64,
    is_skipped: bool,
    has_descriptor: bool,
    is_wide: bool,
    /// Checksum from the header; zero if the checksum is in a descriptor after the file instead.
    checksum: u32,
    length: u64,
    /// Decompressor of the file. `None` if the file is stored without compression. In that case,
    /// `stored_rest` is the number of bytes of the file that remain.
    inflate: Option<Decompress>,
    stored_rest: u64,
    found: Hasher,
    found_length: u64,
    /// First bytes of the file, by which its content is recognized.
    head: Vec<u8>,
    ends_with_line_feed: bool,
}

impl Default for Zip {
    fn default() -> Self {
        Self { part: Part::Record, gathered: Vec::new(), offset: 0, files: HashMap::new() }
    }
}

impl Zip {
    /// Whether the archive was read to its end.
    pub(in crate::read) fn is_complete(&self) -> bool {
        matches!(self.part, Part::Done)
    }

    pub(in crate::read) fn step(&mut self, input: &[u8], output: &mut [u8]) -> Step {
        let (mut consumed, mut produced) = (0, 0);
        let result = loop {
            match self.advance(&input[consumed..], &mut output[produced..]) {
                // Without progress, more input or more room in `output` is needed.
                Ok((0, 0, false)) => break Ok(Progress::Inside),
                Ok((taken, given, _)) => {
                    consumed += taken;
                    produced += given;
                    self.offset += taken as u64;
                }
                Err(e) => break Err(e),
            }
        };
        Step { consumed, produced, result }
    }

    /// Reads at most to the end of the current part of the archive. Returns the numbers of bytes
    /// consumed and produced, and whether the part has ended.
    fn advance(&mut self, input: &[u8], output: &mut [u8]) -> io::Result<(usize, usize, bool)> {
        match &mut self.part {
            Part::Done if input.is_empty() => Ok((0, 0, false)),
            Part::Done => Err(damaged("the archive is followed by other bytes")),
            Part::EndOfFile { line_feed: true } => {
                let Some(last) = output.first_mut() else { return Ok((0, 0, false)) };
                *last = b'\n';
                self.part = Part::Record;
                Ok((0, 1, true))
            }
            Part::EndOfFile { line_feed: false } => {
                self.part = Part::Record;
                Ok((0, 0, true))
            }
            Part::Body(file) => {
                let (consumed, produced, has_ended) = file.advance(input, output)?;
                if has_ended {
                    self.end_body()?;
                }
                Ok((consumed, produced, has_ended))
            }
            Part::Record | Part::Descriptor(_) => {
                let Some(missing) = self.missing()? else {
                    self.end_record()?;
                    return Ok((0, 0, true));
                };
                let taken = missing.min(input.len());
                self.gathered.extend_from_slice(&input[..taken]);
                Ok((taken, 0, false))
            }
        }
    }

    /// Returns the number of bytes that the current record still lacks; `None` if the record is
    /// complete. The number may grow, because the first bytes of a record contain its length.
    fn missing(&self) -> io::Result<Option<usize>> {
        let has = self.gathered.len();
        let lacks = |length: usize| Ok((has < length).then(|| length - has));
        // The two lengths have 4 bytes each, or 8 in a 64-bit archive. The checksum has 4 bytes and
        // the signature another 4.
        if let Part::Descriptor(file) = &self.part {
            let lengths = if file.is_wide { 16 } else { 8 };
            if has < 4 {
                return lacks(4);
            }
            // The signature is optional.
            return lacks(lengths + if u32_at(&self.gathered, 0) == DESCRIPTOR { 8 } else { 4 });
        }
        if has < 4 {
            return lacks(4);
        }
        let part = |at: usize| usize::from(u16_at(&self.gathered, at));
        let (fixed, parts): (usize, &[usize]) = match u32_at(&self.gathered, 0) {
            FILE => (30, &[26, 28]),
            DIRECTORY => (46, &[28, 30, 32]),
            END => (22, &[20]),
            WIDE_END_LOCATOR => (20, &[]),
            WIDE_END if has < 12 => return lacks(12),
            WIDE_END => (wide_end_bytes(&self.gathered)?, &[]),
            _ => return Err(damaged("the archive has a record of an unknown kind")),
        };
        // The fixed part contains the lengths of the variable parts.
        if has < fixed {
            return lacks(fixed);
        }
        lacks(fixed + parts.iter().map(|at| part(*at)).sum::<usize>())
    }

    fn end_record(&mut self) -> io::Result<()> {
        let record = std::mem::take(&mut self.gathered);
        if let Part::Descriptor(file) = std::mem::replace(&mut self.part, Part::Record) {
            let at = if u32_at(&record, 0) == DESCRIPTOR { 4 } else { 0 };
            let length = if file.is_wide { u64_at(&record, at + 12) } else { u64::from(u32_at(&record, at + 8)) };
            return self.end_file(&file, u32_at(&record, at), length);
        }
        match u32_at(&record, 0) {
            FILE => {
                // The directory refers to a file by the offset of its header.
                let begins = self.offset - record.len() as u64;
                self.part = Part::Body(Box::new(File::of_header(&record, begins)?));
            }
            DIRECTORY => self.check_listed(&record)?,
            END if self.files.is_empty() => self.part = Part::Done,
            END => return Err(damaged("the archive contains files that its directory does not name")),
            // The records of a 64-bit directory's end repeat what the entries say.
            _ => {}
        }
        Ok(())
    }

    fn end_body(&mut self) -> io::Result<()> {
        let Part::Body(file) = std::mem::replace(&mut self.part, Part::Record) else { return Ok(()) };
        if file.has_descriptor {
            self.part = Part::Descriptor(file);
            return Ok(());
        }
        let (checksum, length) = (file.checksum, file.length);
        self.end_file(&file, checksum, length)
    }

    fn end_file(&mut self, file: &File, checksum: u32, length: u64) -> io::Result<()> {
        if file.found.clone().finalize() != checksum || file.found_length != length {
            return Err(damaged(&format!("the checksum or length of its file `{}` is wrong", file.name)));
        }
        self.files.insert(file.begins, Entry { name: file.name.clone(), checksum, length });
        // Without the line feed, the last line of this file and the first line of the next one
        // would be one record.
        let line_feed = !file.is_skipped && file.found_length > 0 && !file.ends_with_line_feed;
        self.part = Part::EndOfFile { line_feed };
        Ok(())
    }

    /// Compares an entry of the directory with the file that was read.
    fn check_listed(&mut self, record: &[u8]) -> io::Result<()> {
        let (name, extra) = record[46..].split_at(usize::from(u16_at(record, 28)));
        let extra = &extra[..usize::from(u16_at(record, 30))];
        let [compressed, length, offset] = [20, 24, 42].map(|at| u32_at(record, at));
        let wide = wide_lengths(extra, &[length, compressed, offset]);
        let [length, _, offset] = wide[..] else { return Err(damaged("its directory has an entry without lengths")) };
        let listed = Entry { name: name_of(name), checksum: u32_at(record, 16), length };
        match self.files.remove(&offset) {
            Some(file) if file == listed => Ok(()),
            _ => Err(damaged("its directory does not match its files")),
        }
    }
}

impl File {
    fn of_header(record: &[u8], begins: u64) -> io::Result<Self> {
        let (flags, method) = (u16_at(record, 6), u16_at(record, 8));
        let name_length = usize::from(u16_at(record, 26));
        let (name, extra) = record[30..].split_at(name_length);
        let name = name_of(name);
        let [compressed, length] = [18, 22].map(|at| u32_at(record, at));
        let wide = wide_lengths(extra, &[length, compressed]);
        let is_wide = wide_extra(extra).is_some();
        let [length, compressed] = wide[..] else { return Err(damaged("a file has no lengths")) };
        let has_descriptor = flags & HAS_DESCRIPTOR != 0;
        let unreadable = |why: &str| Err(unsupported(&format!("its file `{name}` {why}")));
        if flags & IS_ENCRYPTED != 0 {
            return unreadable("is encrypted");
        }
        if name == "[Content_Types].xml" {
            return Err(unsupported("it is a document of Microsoft Office, not JSON"));
        }
        let inflate = match method {
            STORED if has_descriptor && compressed == 0 && !name.ends_with('/') => {
                return unreadable("is stored without its length");
            }
            STORED => None,
            DEFLATED => Some(Decompress::new(false)),
            other => return unreadable(&format!("is compressed by method {other}; only deflate is supported")),
        };
        Ok(Self {
            begins,
            is_skipped: name.ends_with('/') || name.split('/').any(|segment| segment.starts_with(['.', '_'])),
            has_descriptor,
            is_wide,
            checksum: u32_at(record, 14),
            length,
            inflate,
            stored_rest: compressed,
            found: Hasher::new(),
            found_length: 0,
            head: Vec::new(),
            ends_with_line_feed: false,
            name,
        })
    }

    /// Reads more of the file. Returns the number of bytes consumed and produced, and whether the
    /// file has ended.
    fn advance(&mut self, input: &[u8], output: &mut [u8]) -> io::Result<(usize, usize, bool)> {
        let mut unwanted = [0; SKIPPED_BYTES];
        // Skipped files are decompressed too, because the end of a file is only known after
        // decompression.
        let room: &mut [u8] = if self.is_skipped { &mut unwanted } else { &mut *output };
        let (consumed, produced, has_ended) = match &mut self.inflate {
            Some(inflate) => {
                let (before_in, before_out) = (inflate.total_in(), inflate.total_out());
                let status = inflate.decompress(input, room, FlushDecompress::None)?;
                // Both counts are at most the lengths of the slices.
                let consumed = usize::try_from(inflate.total_in() - before_in).unwrap_or(usize::MAX);
                let produced = usize::try_from(inflate.total_out() - before_out).unwrap_or(usize::MAX);
                (consumed, produced, status == Status::StreamEnd)
            }
            None => {
                let rest = usize::try_from(self.stored_rest).unwrap_or(usize::MAX);
                let bytes = rest.min(input.len()).min(room.len());
                room[..bytes].copy_from_slice(&input[..bytes]);
                self.stored_rest -= bytes as u64;
                (bytes, bytes, self.stored_rest == 0)
            }
        };
        let found = &room[..produced];
        let wanted = HEAD_BYTES.saturating_sub(self.head.len());
        if wanted > 0 && !self.is_skipped {
            self.head.extend_from_slice(&found[..wanted.min(found.len())]);
            let is_known = has_ended || self.head.len() == HEAD_BYTES;
            if is_known {
                self.check_content()?;
            }
        }
        self.found.update(found);
        self.found_length += produced as u64;
        if let Some(last) = found.last() {
            self.ends_with_line_feed = *last == b'\n';
        }
        Ok((consumed, if self.is_skipped { 0 } else { produced }, has_ended))
    }
}

impl File {
    /// Checks that the file starts like text in UTF-8. Other encodings are not supported inside an
    /// archive.
    fn check_content(&self) -> io::Result<()> {
        let content = match recognize(&self.head, "", None) {
            Content::Text(Encoding::Utf8) => return Ok(()),
            Content::Text(Encoding::Utf16 { .. }) => "is text in UTF-16; in an archive only UTF-8 is read".to_owned(),
            Content::Text(Encoding::Utf32 { .. }) => "is text in UTF-32; in an archive only UTF-8 is read".to_owned(),
            Content::Compressed(_) => "is compressed once more, which is not supported in an archive".to_owned(),
            Content::Foreign(foreign) => foreign.to_string(),
        };
        Err(unsupported(&format!("its file `{}` {content}", self.name)))
    }
}

/// Returns the name of a file. Bytes that are not UTF-8 are replaced.
fn name_of(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Returns `lengths` as 64-bit numbers. A length that needs more than 32 bits is [`WIDE`], and its
/// value is in the extra field. If a value is missing there, the result has fewer numbers.
fn wide_lengths(extra: &[u8], lengths: &[u32]) -> Vec<u64> {
    let mut wide = wide_extra(extra).unwrap_or_default();
    let mut values = Vec::new();
    for length in lengths {
        if *length != WIDE {
            values.push(u64::from(*length));
        } else if wide.len() >= 8 {
            values.push(u64_at(wide, 0));
            wide = &wide[8..];
        }
    }
    values
}

/// Returns the part of an extra field that contains lengths of 64 bits.
fn wide_extra(extra: &[u8]) -> Option<&[u8]> {
    let mut rest = extra;
    while let [a, b, c, d, after @ ..] = rest {
        let length = usize::from(u16::from_le_bytes([*c, *d])).min(after.len());
        if u16::from_le_bytes([*a, *b]) == WIDE_EXTRA {
            return Some(&after[..length]);
        }
        rest = &after[length..];
    }
    None
}

/// Returns the length of the record that ends a 64-bit directory. `record` must contain at least
/// the first 12 bytes of it.
fn wide_end_bytes(record: &[u8]) -> io::Result<usize> {
    let bytes = u64_at(record, 4).checked_add(12).filter(|bytes| *bytes <= MOST_WIDE_END_BYTES);
    bytes.and_then(|bytes| usize::try_from(bytes).ok()).ok_or_else(|| damaged("the end of its directory has no end"))
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

fn damaged(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// Returns the error for an archive that seems intact, but has a format that is not supported.
fn unsupported(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, what)
}

#[cfg(test)]
mod tests;
