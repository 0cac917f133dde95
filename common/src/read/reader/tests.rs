//! Reads whole objects, plain and compressed, intact and damaged.

use std::io::{Read, Write};
use std::ops::Range;

use arrow::array::{Array, AsArray};
use arrow::datatypes::Int64Type;
use bytes::Bytes;
use futures::TryStreamExt;
use lz4_flex::frame::{BlockSize, FrameDecoder, FrameEncoder, FrameInfo};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use url::Url;

use super::*;
use crate::config::resolved::{Field, FieldType, JsonFormat, Location, OnArchived, OnChange, OnDamaged, RecordFormat};
use crate::error::Kind;
use crate::read::framing::{Framed, Framer};
use crate::read::scan_rows::{read_report_rows, scan_schema};
use crate::read::schema::arrow_schema;
use crate::storage::object::SourceObject;

/// Objects that are cut or changed at any byte.
mod damage;

/// Result of reading one object.
#[derive(Debug)]
struct Outcome {
    /// Byte ranges of accepted records.
    accepted: Vec<Range<usize>>,
    /// Byte ranges of rejected records and broken ranges, with the reasons.
    rejected: Vec<(Range<usize>, String)>,
    /// Decompressed bytes that were read.
    text: Vec<u8>,
    tally: ObjectTally,
}

/// An object of one test, and the extension of its key.
#[derive(Debug, Clone)]
struct Stored {
    extension: &'static str,
    bytes: Vec<u8>,
}

fn limits() -> Limits {
    Limits {
        memory_bytes: 1 << 30,
        max_record_bytes: 1 << 20,
        scratch: None,
        threads: 1,
        split_bytes: 1 << 30,
        concurrent_reads: 2,
        target_file_bytes: 1 << 30,
        max_open_files: 8,
        max_decompression_ratio: 100,
    }
}

fn source(format: JsonFormat) -> Source {
    let id = Field::new("id", FieldType::Json);
    Source {
        name: "s".into(),
        url: Url::parse("memory:///").unwrap(),
        format: RecordFormat::Json(format),
        fields: vec![id],
        max_quarantine_share: 1.0,
        on_change: OnChange::Error,
        on_damaged: OnDamaged::Keep,
        on_archived: OnArchived::Error,
        follow_links: false,
        objects: Default::default(),
        allow_empty: false,
        decoding: Default::default(),
    }
}

/// Reads an object as a scan does; `None` if the object cannot be read because it is not text.
async fn read(stored: &Stored, format: &JsonFormat) -> Option<Outcome> {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let key = format!("object{}", stored.extension);
    store.put(&Path::from(key.as_str()), Bytes::from(stored.bytes.clone()).into()).await.unwrap();
    let listed = store.list(None).try_next().await.unwrap().unwrap();
    let modified = listed.last_modified.timestamp_micros();
    let split = Split::whole(SourceObject { key, bytes: listed.size, etag: listed.e_tag, modified });
    let source = source(format.clone());
    let context = ReadContext {
        schema: scan_schema(arrow_schema(&source.fields).fields()),
        source: Arc::new(source),
        storage: Storage::new(store, Location::of(Url::parse("memory:///").unwrap())),
        limits: Arc::new(limits()),
        max_records: None,
        progress: Arc::default(),
    };
    let (batches, mut received) = tokio::sync::mpsc::channel(1000);
    if let Err(error) = read_splits(&context, std::slice::from_ref(&split), &batches).await {
        assert_eq!(error.kind, Kind::Data, "{error}");
        return None;
    }
    drop(batches);
    let (mut rejected, mut rows, mut tally) = (Vec::new(), 0, None);
    while let Some(batch) = received.recv().await {
        match ScanRows::from_batch(&batch.unwrap()).unwrap() {
            Some(ScanRows::Records(batch)) => rows += batch.len() as u64,
            Some(ScanRows::Rejected(batch)) => {
                let long = |name: &str| batch.column_by_name(name).unwrap().as_primitive::<Int64Type>().clone();
                let (starts, ends) = (long("byte_offset"), long("byte_end"));
                let reasons = batch.column_by_name("reason").unwrap().as_string::<i32>();
                for row in 0..batch.len() {
                    let at = |column: &arrow::array::Int64Array| usize::try_from(column.value(row)).unwrap();
                    rejected.push((at(&starts)..at(&ends), reasons.value(row).to_owned()));
                }
            }
            Some(ScanRows::Reports(reports)) => {
                for report in read_report_rows(&reports).unwrap() {
                    if let ReadReport::Object(found) = report {
                        tally = Some(found);
                    }
                }
            }
            None => {}
        }
    }
    let tally: ObjectTally = tally.unwrap();
    assert_eq!((tally.staged, tally.quarantined), (rows, rejected.len() as u64));
    assert_eq!(tally.records, tally.staged + tally.quarantined);
    // The coordinator rejects a worker's report in which an undamaged split was not read to its end.
    assert!(tally.damage.is_some() || tally.stored_bytes == stored.bytes.len() as u64, "{}", tally.stored_bytes);
    let text = text_of(&context, &split).await;
    let accepted = ranges(&text, &split, format, &rejected);
    assert_eq!(accepted.len() as u64, tally.staged);
    Some(Outcome { accepted, rejected, text, tally })
}

async fn text_of(context: &ReadContext, split: &Split) -> Vec<u8> {
    let mut chunks = fetch(&context.storage, split, &context.source.decoding, &context.limits, &StoredBytes::default());
    let mut text = Vec::new();
    while let Some(Ok(chunk)) = chunks.next().await {
        text.extend_from_slice(&chunk);
    }
    text
}

/// Returns the ranges of the records that were not rejected.
fn ranges(text: &[u8], split: &Split, format: &JsonFormat, rejected: &[(Range<usize>, String)]) -> Vec<Range<usize>> {
    let mut framer = Framer::for_split(split, format, limits().max_record_bytes);
    framer.push(&Bytes::copy_from_slice(text));
    let mut accepted = Vec::new();
    let mut is_finished = false;
    loop {
        match framer.next() {
            Some(Framed::Record { offset, text, .. }) => {
                let start = usize::try_from(offset).unwrap();
                let range = start..start + text.len();
                if rejected.iter().all(|(rejected, _)| rejected.end <= start || range.end <= rejected.start) {
                    accepted.push(range);
                }
            }
            Some(Framed::Broken { .. }) => {}
            None if is_finished => return accepted,
            None => {
                framer.finish();
                is_finished = true;
            }
        }
    }
}

fn compress(extension: &'static str, text: &[u8]) -> Stored {
    let bytes = match extension {
        ".gz" => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(text).unwrap();
            encoder.finish().unwrap()
        }
        ".zst" => {
            let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
            encoder.include_checksum(true).unwrap();
            encoder.write_all(text).unwrap();
            encoder.finish().unwrap()
        }
        ".bz2" => {
            let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
            encoder.write_all(text).unwrap();
            encoder.finish().unwrap()
        }
        ".lz4" => {
            let info = FrameInfo::new().block_size(BlockSize::Max64KB).content_checksum(true);
            let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
            // Several blocks, so that a part of a damaged object can be read.
            for block in text.chunks(100) {
                encoder.write_all(block).unwrap();
                encoder.flush().unwrap();
            }
            encoder.finish().unwrap()
        }
        ".xz" => {
            let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
            encoder.write_all(text).unwrap();
            encoder.finish().unwrap()
        }
        _ => text.to_vec(),
    };
    Stored { extension, bytes }
}

/// Reads byte by byte with the libraries' readers of whole streams. Returns the bytes up to the end
/// or an error, and whether the end was reached.
fn decompressed(stored: &Stored) -> (Vec<u8>, bool) {
    let bytes = stored.bytes.as_slice();
    let mut reader: Box<dyn Read + '_> = match stored.extension {
        _ if bytes.is_empty() => Box::new(bytes),
        ".gz" => return gunzipped(bytes),
        ".lz4" => return lz4_frames(bytes),
        ".zst" => Box::new(zstd::Decoder::new(bytes).unwrap()),
        ".bz2" => Box::new(bzip2::read::MultiBzDecoder::new(bytes)),
        ".xz" => Box::new(liblzma::read::XzDecoder::new_multi_decoder(bytes)),
        _ => Box::new(bytes),
    };
    let mut text = Vec::new();
    let is_whole = read_until_error(&mut reader, &mut text);
    (text, is_whole)
}

/// Decompresses gzip members, and ignores zeros after the last one, as gzip(1) does.
fn gunzipped(mut bytes: &[u8]) -> (Vec<u8>, bool) {
    let mut text = Vec::new();
    loop {
        let mut member = flate2::bufread::GzDecoder::new(bytes);
        if !read_until_error(&mut member, &mut text) {
            return (text, false);
        }
        bytes = member.into_inner();
        if bytes.iter().all(|byte| *byte == 0) {
            return (text, true);
        }
    }
}

/// Decompresses lz4 frames. The library's reader takes a frame that was cut between two blocks for a
/// whole one, so another frame is appended, which it then takes for a block.
fn lz4_frames(bytes: &[u8]) -> (Vec<u8>, bool) {
    let after = compress(".lz4", b"").bytes;
    let bytes = [bytes, &after].concat();
    let (mut rest, mut text) = (bytes.as_slice(), Vec::new());
    while rest.len() > after.len() {
        if !read_until_error(&mut FrameDecoder::new(&mut rest), &mut text) {
            return (text, false);
        }
    }
    (text, rest.len() == after.len())
}

/// Returns whether `reader` was read to its end without an error.
fn read_until_error(reader: &mut dyn Read, text: &mut Vec<u8>) -> bool {
    let mut byte = [0];
    loop {
        match reader.read(&mut byte) {
            Ok(0) => return true,
            Ok(_) => text.push(byte[0]),
            Err(_) => return false,
        }
    }
}

#[tokio::test]
async fn an_object_that_is_read_to_its_end_counts_every_byte_once() {
    let text = b"{\"id\":1}\n{\"id\":\n{\"id\":3}\n";
    for extension in ["", ".gz", ".zst", ".bz2", ".xz", ".lz4"] {
        let stored = compress(extension, text);
        let Outcome { tally, rejected, .. } = read(&stored, &JsonFormat::Lines).await.unwrap();
        assert_eq!((tally.staged, tally.quarantined, tally.templated), (2, 1, 1), "{extension}");
        assert_eq!(rejected, [(9..15, "malformed".to_owned())]);
        assert_eq!(tally.stored_bytes, stored.bytes.len() as u64, "{extension}");
        assert_eq!((tally.bytes, tally.unframed_bytes), (text.len() as u64, 0));
        assert_eq!(tally.damage, None);
    }
}

#[tokio::test]
async fn a_damaged_object_is_told_from_one_with_a_bad_record() {
    let json = JsonFormat::Document { records: None };
    type Damaged<'a> = Option<(u64, &'a str)>;
    let cases: [(&JsonFormat, &str, Damaged<'_>, u64); 9] = [
        // In lines, an unfinished last record is a complete line, so no byte is unframed.
        (&JsonFormat::Lines, "{\"id\":1}\n{\"id\":", None, 0),
        (&json, "{\"id\":1}\n{\"id\":", Some((9, "the input ends inside a record")), 6),
        (&json, "[{\"id\":1},{\"id\":2}", Some((18, "the input ends inside the document")), 0),
        (&json, "[{\"id\":1}{\"id\":2}]", Some((9, "found `{` instead of `,` or `]` after a record")), 9),
        (&json, "{\"id\":1}\n{\"id\"}\n", None, 0),
        (&json, "{\"id\":1}\n\0\0\n", Some((9, "found the byte 0x00 instead of a record")), 3),
        // Framing is certain again before the end.
        (&json, "{\"id\":1}\n\0\0\n{\"id\":2}\n", None, 3),
        (&json, "{\"id\":1\n{\"id\":2}\n{\"id\":3}\n", None, 17),
        (&json, "", None, 0),
    ];
    for (format, text, damage, unframed_bytes) in cases {
        let found = read(&compress("", text.as_bytes()), format).await.unwrap().tally;
        let at = found.damage.as_ref().map(|damage| (damage.byte_offset, damage.detail.as_str()));
        assert_eq!(at, damage, "{text:?}");
        assert_eq!(found.unframed_bytes, unframed_bytes, "{text:?}");
    }
}
