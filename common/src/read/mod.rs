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

/// ② The parts of objects that each partition reads.
pub mod split;
/// ② The bytes of a split.
pub mod fetch;
/// ② The format that an object's first bytes show.
pub mod content;
/// ② From stored bytes to UTF-8 text: compression and encoding, layer by layer.
pub mod decompress;
/// ② From text to records: lines, documents, arrays.
pub mod framing;
/// ③ From a record's JSON to typed columns.
pub mod json;
/// ③ Declared fields as an Arrow schema.
pub mod schema;
/// Why a record is rejected.
pub mod rejection;
/// Rejected records as rows.
pub mod quarantine;
/// Counts of one split.
pub mod tally;
/// ④ The rows of a scan: records, rejected records, reports.
pub mod scan_rows;
/// ④ The loop over splits and records.
pub mod reader;
/// ④ The plan node.
pub mod scan_node;
