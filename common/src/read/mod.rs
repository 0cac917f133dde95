//! ①–④ Reads objects into batches of typed rows, and rejects the records that cannot be read.
//!
//! Input: the objects that were listed for a source, and the declared fields from `lake.toml`.
//! Output: for each object, typed rows for the staging table, rejected records for the quarantine,
//! and a tally of both. Every byte of an object is accounted for.
//!
//! ```text
//!  lake.toml            ① object     as listed: key, size, ETag
//!      │                     │
//!      ▼                     ▼
//!   schema              ② split      bundles of small objects, ranges of large ones
//!      │                     ▼
//!      │                  fetch      bytes, 4 MiB at a time, one read ahead
//!      │                     ▼
//!      │                  layers     recognized by their first bytes, decompressed, decoded to UTF-8
//!      │                     ▼
//!      │                  framing    lines, document ─────────────────────────┐
//!      │                     │ one record's text, its offset and line         │ too long, framing lost
//!      ▼                     ▼                                                ▼
//!   columns ◄─────────  ③ decode ───────────────────────────────────►  quarantine
//!      │                  coerce     one function per type   a rejection      │
//!      ▼                                                                      ▼
//!  ④ scan node: batches of rows, of rejected records, and of tallies: per object, records = staged + quarantined
//! ```
//!
//! Example: `{"page":"NextSong","ts":1542837416796,"userId":"15"}` is line 1 of
//! `2018/11/2018-11-21-events.json`. It is in the split `0..291400` of that object, which is
//! fetched with one read. Framing finds its line feed at offset 52. Decoding turns `"15"` into the
//! long 15 and `ts` into the time 2018-11-21T21:56:56.796Z. The result is one row of the staging
//! table of `events`. If `ts` were `"soon"`, the record would be one row of the quarantine instead,
//! never both.

/// ② A part of an object, or the whole of it.
pub mod split;
/// ② Plans which parts of objects each partition reads.
pub mod split_plan;
/// ② Chunks of bytes, and the faults that end a stream of chunks.
pub mod chunks;
/// ② Reads the bytes of a split.
pub mod fetch;
/// ② Recognizes the format of an object by its first bytes.
pub mod content;
/// ② Decompresses and decodes stored bytes to UTF-8 text, layer by layer.
pub mod decompress;
/// ②–④ The formats of records. Each format is one folder.
pub mod record_format;
/// ② Cuts text into records: lines, documents, arrays.
pub mod framing;
/// ③ Decodes the JSON of records into typed columns.
pub mod json;
/// ③ Converts declared fields to an Arrow schema.
pub mod schema;
/// Reasons to reject a record.
pub mod rejection;
/// Builds rows of rejected records.
pub mod quarantine;
/// Counts the records and bytes of one split.
pub mod tally;
/// Counts the values of a scan by field.
pub mod field_counts;
/// ④ Receives the outcome of each record.
pub mod record_sink;
/// ④ Rows of a scan: records, rejected records, reports.
pub mod scan_rows;
/// Converts the reports of a scan to messages and back.
pub mod wire;
/// ④ Loops over splits and records.
pub mod reader;
/// ④ The plan node of a scan.
pub mod scan_node;
