//! ①–④ From an object to batches of typed rows, and what could not be read.
//!
//! ```text
//!  lake.toml            ① object     what was listed: key, size, ETag
//!      │                     │
//!      ▼                     ▼
//!   schema              ② split      bundles of small objects, ranges of large ones
//!      │                     ▼
//!      │                  fetch      bytes, 4 MiB at a time, the next read under way
//!      │                     ▼
//!      │                  layers     recognized by their first bytes, decompressed, decoded to UTF-8
//!      │                     ▼
//!      │                  framing    lines, document ─────────────────────────┐
//!      │                     │ one record's text, its offset and line         │ too long, framing lost
//!      ▼                     ▼                                                ▼
//!   columns ◄─────────  ③ decode ───────────────────────────────────►  quarantine
//!      │                  coerce     one function a type     a rejection      │
//!      ▼                                                                      ▼
//!  ④ scan node: batches of rows, of rejected records, and of tallies: per object, records = staged + quarantined
//! ```
//!
//! One record followed through: `{"page":"NextSong","ts":1542837416796,"userId":"15"}`, line 1 of
//! `2018/11/2018-11-21-events.json`, lies in the split `0..291400` of that object; fetched in one read; framed by its
//! line feed at offset 52; `"15"` becomes the long 15 and `ts` the time 2018-11-21T21:56:56.796Z; it is one row of the
//! staging table of `events`. Had `ts` been `"soon"`, it would be one row of the quarantine instead, never both.

/// ① An object as it was listed.
pub mod object;
/// ② The parts of objects that each partition reads.
pub mod split;
/// ② The bytes of a split.
pub mod fetch;
/// ② What an object's first bytes say that it holds.
pub mod content;
/// ② Layer by layer from stored bytes to text in UTF-8.
mod layers;
/// ② Compressed bytes in, text out.
mod decompress;
/// ② The frame of a gzip member.
mod gzip;
/// ② The chunks of snappy.
mod snappy;
/// ② The files of a zip archive.
mod zip;
/// ② UTF-16 and UTF-32 as UTF-8.
mod encoding;
/// ② The records in these bytes.
pub mod framing;
/// ② Records that are lines.
pub mod lines;
/// ② Records in a document.
pub mod document;
/// ② The object around an array of records.
mod wrapper;
/// ② Where a value of a document ends.
mod value;
/// ② Where records certainly start again after framing was lost.
mod resync;
/// ② The bytes that a framer holds.
mod window;
/// Why a record is rejected.
pub mod rejection;
/// ③ Declared fields as an Arrow schema.
pub mod schema;
/// ③ What each type accepts.
pub mod coerce;
/// ③ Columns that can take a record back.
mod buffers;
/// ③ Which key leads to which column.
mod keys;
/// ③ A record's text into the columns.
pub mod record;
/// ③ What the parser calls with each key and value.
mod visit;
/// Where rejected records wait.
pub mod quarantine;
/// What was counted in one split.
pub mod tally;
/// What has been read so far, for whoever shows it.
pub mod progress;
/// ④ The rows of a scan: records, rejected records, reports.
pub mod scan_rows;
/// ④ The loop over splits and records.
pub mod reader;
/// ④ The plan node.
pub mod scan_node;
