//! The ledger: the objects of a source that were ingested, each with the commit that ingested it
//! and its record counts.
//!
//! A commit writes one ledger file (Parquet) for each source with new objects. The manifest of the
//! commit names this file and all older ledger files. The next run reads all ledger files of a
//! source into one lookup and ingests only objects that are not in the lookup. The number of
//! entries is not limited: many files are merged into one, and no entry is dropped. Columns have
//! the names that Snowflake uses in `COPY_HISTORY`, where a counterpart exists.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef, TimeUnit, TimestampMicrosecondType};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use lakewright_common::digest;
use lakewright_common::digest::blocks::with_table;
use lakewright_common::error::{Context, Error, Result};
use lakewright_common::process::failpoint::{self, FailPoint};
use lakewright_common::read::tally::ObjectTally;
use lakewright_common::storage::Storage;
use lakewright_common::storage::object::SourceObject;
use lakewright_common::write::digested::key_value_metadata;
use object_store::ObjectStoreExt;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use uuid::Uuid;

use super::manifest::{LedgerFile, SourceState, parse_key};
use super::{LakePath, url_of};

/// Maximum number of ledger files of one source. A commit that would exceed this number merges all
/// ledger files of the source into one.
pub(crate) const MAX_FILES: usize = 64;
/// Maximum number of ledger files that are read at the same time.
const CONCURRENT_READS: usize = 8;
/// Maximum number of entries that are encoded or decoded as one batch.
const BATCH_ROWS: usize = 64 * 1024;

/// One object that was ingested; `records = staged + quarantined`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LedgerEntry {
    pub(crate) object: SourceObject,
    pub(crate) records: u64,
    pub(crate) staged: u64,
    pub(crate) quarantined: u64,
    /// Version of the lake in which the object was ingested.
    pub(crate) version: u64,
    pub(crate) run: Uuid,
}

/// Returns the schema of a ledger file.
pub(crate) fn schema() -> SchemaRef {
    let text = |name: &str, nullable| Field::new(name, DataType::Utf8, nullable);
    let long = |name: &str| Field::new(name, DataType::Int64, false);
    let utc = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    Arc::new(Schema::new(vec![
        text("source", false),
        text("file_name", false),
        long("file_size"),
        text("etag", true),
        Field::new("last_modified", utc, false),
        long("row_parsed"),
        long("row_count"),
        long("error_count"),
        long("commit"),
        text("run_id", false),
    ]))
}

/// Sums the tallies (the counts of one split each) into one entry per object, sorted by key.
///
/// # Errors
/// An internal error if an object's staged and quarantined records do not add up to its records, or
/// if the object's splits saw different versions of the object.
pub(crate) fn entries(
    tallies: impl IntoIterator<Item = ObjectTally>,
    version: u64,
    run: Uuid,
) -> Result<Vec<LedgerEntry>> {
    let mut objects: BTreeMap<String, LedgerEntry> = BTreeMap::new();
    for tally in tallies {
        let entry = objects.entry(tally.object.key.clone()).or_insert_with(|| LedgerEntry {
            object: tally.object.clone(),
            records: 0,
            staged: 0,
            quarantined: 0,
            version,
            run,
        });
        // Every read requires the ETag from the listing, so a second version of an object is a bug.
        if entry.object != tally.object {
            return Err(Error::internal(format!("two versions of `{}` were read in one run", tally.object.key)));
        }
        entry.records += tally.records;
        entry.staged += tally.staged;
        entry.quarantined += tally.quarantined;
    }
    // Checked per object and not per split, because only the sum decides what is committed.
    for entry in objects.values() {
        if entry.records != entry.staged + entry.quarantined {
            return Err(Error::internal(format!(
                "`{}` has {} records, of which {} are staged and {} are quarantined",
                entry.object.key, entry.records, entry.staged, entry.quarantined
            )));
        }
    }
    Ok(objects.into_values().collect())
}

/// Writes one ledger file with the entries of one commit and one source.
pub(crate) async fn write(
    lake: &Storage,
    source: &str,
    version: u64,
    run: Uuid,
    entries: &[LedgerEntry],
) -> Result<LedgerFile> {
    let mut file = Encoder::new()?;
    file.push_entries(source, entries)?;
    file.put(lake, source, version, run).await
}

/// Writes the `entries` of one commit, and returns the source's ledger files after the commit: the
/// `previous` files and a new one. If that would be more than [`MAX_FILES`] files, the new file
/// contains all entries and is the only one. The previous files stay on storage for older
/// manifests.
pub(crate) async fn append(
    lake: &Storage,
    source: &str,
    version: u64,
    run: Uuid,
    previous: &[LedgerFile],
    entries: &[LedgerEntry],
) -> Result<Vec<LedgerFile>> {
    if entries.is_empty() {
        return Ok(previous.to_vec());
    }
    if previous.len() < MAX_FILES {
        let file = write(lake, source, version, run, entries).await?;
        return Ok(previous.iter().cloned().chain([file]).collect());
    }
    // Oldest first, as in `read`: if a key occurs twice, the later entry counts.
    let mut folded = Encoder::new()?;
    for file in previous {
        for batch in decode(lake, file, fetch(lake, file).await?)? {
            folded.push(&batch.context(|| damaged(lake, file))?)?;
        }
    }
    folded.push_entries(source, entries)?;
    Ok(vec![folded.put(lake, source, version, run).await?])
}

/// Reads the entries of all objects that were ever ingested from a source, by key.
pub(crate) async fn read(lake: &Storage, source: &SourceState) -> Result<HashMap<String, LedgerEntry>> {
    let objects: u64 = source.ledger.iter().map(|file| file.objects).sum();
    let mut lookup = HashMap::with_capacity(usize::try_from(objects).unwrap_or_default());
    let mut files = stream::iter(source.ledger.clone())
        .map(|file| async move { fetch(lake, &file).await.map(|bytes| (file, bytes)) })
        // In order, so that a later entry of a key replaces an earlier one.
        .buffered(CONCURRENT_READS);
    while let Some((file, bytes)) = files.try_next().await? {
        for batch in decode(lake, &file, bytes)? {
            let batch = batch.context(|| damaged(lake, &file))?;
            read_batch(&batch, &mut lookup).ok_or_else(|| damaged(lake, &file))?;
        }
    }
    Ok(lookup)
}

/// Encoder of one ledger file. The file is kept in memory, because an entry takes only tens of
/// bytes.
struct Encoder {
    writer: ArrowWriter<Vec<u8>>,
    objects: u64,
}

impl Encoder {
    fn new() -> Result<Self> {
        // Level 3 is the default of zstd.
        let level = ZstdLevel::try_new(3).context(encoding)?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(level))
            .set_key_value_metadata(Some(key_value_metadata()))
            .build();
        let writer = ArrowWriter::try_new(Vec::new(), schema(), Some(properties)).context(encoding)?;
        Ok(Self { writer, objects: 0 })
    }

    fn push_entries(&mut self, source: &str, entries: &[LedgerEntry]) -> Result<()> {
        entries.chunks(BATCH_ROWS).try_for_each(|chunk| self.push(&to_batch(source, chunk)?))
    }

    fn push(&mut self, batch: &RecordBatch) -> Result<()> {
        self.objects += batch.num_rows() as u64;
        self.writer.write(batch).context(encoding)
    }

    async fn put(self, lake: &Storage, source: &str, version: u64, run: Uuid) -> Result<LedgerFile> {
        let key = LakePath::Ledger { source, version, run }.key();
        let content = self.writer.into_inner().context(encoding)?;
        let content = with_table(&content).ok_or_else(|| Error::internal("the ledger has no footer"))?;
        let (bytes, digest) = (content.len() as u64, Some(digest::of(&content)));
        failpoint::reach(FailPoint::LedgerBeforeWrite);
        // The name is unique to this run, so repeating a put after an unclear response is safe: it
        // writes the same bytes.
        lake.store.put(&key, content.into()).await.storage_context("write", || url_of(lake, &key))?;
        failpoint::reach(FailPoint::LedgerAfterWrite);
        Ok(LedgerFile { path: key.to_string(), objects: self.objects, bytes, digest, added_in: version })
    }
}

fn encoding() -> Error {
    Error::internal("the ledger cannot be encoded")
}

fn damaged(lake: &Storage, file: &LedgerFile) -> Error {
    Error::storage_failure(format!("ledger `{}{}` is damaged", lake.root, file.path))
        .hint("restore the file from a copy of the lake: without it a run would ingest its objects again")
}

async fn fetch(lake: &Storage, file: &LedgerFile) -> Result<Bytes> {
    let key = parse_key(&file.path)?;
    let url = || url_of(lake, &key);
    let object = lake.store.get(&key).await.storage_context("read", url)?;
    let bytes = object.bytes().await.storage_context("read", url)?;
    // A digest with the algorithm of a later program version cannot be compared.
    match file.digest.as_ref().filter(|expected| expected.is_supported()) {
        Some(expected) if *expected != digest::of(&bytes) => {
            Err(damaged(lake, file).caused_by("it does not have the digest that the manifest names"))
        }
        _ => Ok(bytes),
    }
}

fn decode(
    lake: &Storage,
    file: &LedgerFile,
    bytes: Bytes,
) -> Result<parquet::arrow::arrow_reader::ParquetRecordBatchReader> {
    ParquetRecordBatchReaderBuilder::try_new(bytes)
        .and_then(|builder| builder.with_batch_size(BATCH_ROWS).build())
        .context(|| damaged(lake, file))
}

fn to_batch(source: &str, entries: &[LedgerEntry]) -> Result<RecordBatch> {
    let longs = |value: fn(&LedgerEntry) -> u64| -> Result<ArrayRef> {
        let values =
            entries.iter().map(|entry| i64::try_from(value(entry))).collect::<std::result::Result<Vec<_>, _>>();
        let values = values.context(|| Error::internal("a count exceeds 2^63"))?;
        Ok(Arc::new(Int64Array::from(values)))
    };
    let keys = entries.iter().map(|entry| entry.object.key.as_str());
    let etags: StringArray = entries.iter().map(|entry| entry.object.etag.as_deref()).collect();
    let modified = TimestampMicrosecondArray::from_iter_values(entries.iter().map(|entry| entry.object.modified));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values(entries.iter().map(|_| source))),
        Arc::new(StringArray::from_iter_values(keys)),
        longs(|entry| entry.object.bytes)?,
        Arc::new(etags),
        Arc::new(modified.with_timezone("UTC")),
        longs(|entry| entry.records)?,
        longs(|entry| entry.staged)?,
        longs(|entry| entry.quarantined)?,
        longs(|entry| entry.version)?,
        Arc::new(StringArray::from_iter_values(entries.iter().map(|entry| entry.run.to_string()))),
    ];
    RecordBatch::try_new(schema(), columns).context(|| Error::internal("the ledger cannot be encoded"))
}

/// Adds the entries of a batch to `lookup`. Returns `None` if the batch does not have the columns
/// that [`to_batch`] writes.
fn read_batch(batch: &RecordBatch, lookup: &mut HashMap<String, LedgerEntry>) -> Option<()> {
    // Find columns by name, so that later program versions can add columns.
    let text = |name: &str| batch.column_by_name(name)?.as_string_opt::<i32>();
    let long = |name: &str| batch.column_by_name(name)?.as_primitive_opt::<Int64Type>();
    let (keys, etags, runs) = (text("file_name")?, text("etag")?, text("run_id")?);
    let (bytes, records, staged) = (long("file_size")?, long("row_parsed")?, long("row_count")?);
    let (quarantined, versions) = (long("error_count")?, long("commit")?);
    let modified = batch.column_by_name("last_modified")?.as_primitive_opt::<TimestampMicrosecondType>()?;
    for row in 0..batch.num_rows() {
        let count = |column: &Int64Array| u64::try_from(column.value(row)).ok();
        let key = keys.value(row).to_owned();
        let entry = LedgerEntry {
            object: SourceObject {
                key: key.clone(),
                bytes: count(bytes)?,
                etag: etags.is_valid(row).then(|| etags.value(row).to_owned()),
                modified: modified.value(row),
            },
            records: count(records)?,
            staged: count(staged)?,
            quarantined: count(quarantined)?,
            version: count(versions)?,
            run: runs.value(row).parse().ok()?,
        };
        // Files are read from the oldest to the newest, so the newest entry of a key stays.
        lookup.insert(key, entry);
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;

    fn entry(key: &str, version: u64) -> LedgerEntry {
        let object =
            SourceObject { key: key.into(), bytes: 250, etag: (version > 1).then(|| "\"e\"".into()), modified: 1_700 };
        LedgerEntry { object, records: 3, staged: 2, quarantined: 1, version, run: Uuid::now_v7() }
    }

    #[tokio::test]
    async fn entries_come_back_by_key_from_any_number_of_files() {
        let (_folder, lake) = fixture::lake();
        let mut source = SourceState::default();
        let mut expected = HashMap::new();
        // One more than the maximum, so that the last commit merges.
        for version in 1..=MAX_FILES as u64 + 1 {
            let entry = entry(&format!("2018/11/{version}-events.json"), version);
            source.ledger = append(&lake, "events", version, entry.run, &source.ledger, std::slice::from_ref(&entry))
                .await
                .unwrap();
            expected.insert(entry.object.key.clone(), entry);
            if version == MAX_FILES as u64 {
                assert_eq!(source.ledger.len(), MAX_FILES);
                assert_eq!(read(&lake, &source).await.unwrap(), expected);
            }
        }
        let [folded] = source.ledger.as_slice() else { panic!("{:?}", source.ledger) };
        assert_eq!((folded.objects, folded.added_in), (65, 65));
        assert_eq!(read(&lake, &source).await.unwrap(), expected);
    }

    #[tokio::test]
    async fn a_commit_without_objects_writes_no_ledger() {
        let (folder, lake) = fixture::lake();
        assert_eq!(append(&lake, "events", 1, Uuid::now_v7(), &[], &[]).await.unwrap(), []);
        assert!(!folder.path().join("_lake").exists());
    }

    #[test]
    fn splits_of_one_object_add_up_and_no_sum_may_be_off() {
        let run = Uuid::now_v7();
        let tally = |start, records, staged, quarantined| ObjectTally {
            object: entry("a", 1).object,
            split_start: start,
            records,
            staged,
            quarantined,
            templated: 0,
            lines: records,
            stored_bytes: 125,
            bytes: 125,
            unframed_bytes: 0,
            damage: None,
        };
        let sum = entries([tally(0, 3, 3, 0), tally(100, 2, 1, 1)], 7, run).unwrap();
        assert_eq!(sum.len(), 1);
        assert_eq!((sum[0].records, sum[0].staged, sum[0].quarantined, sum[0].version), (5, 4, 1, 7));
        assert!(entries([tally(0, 3, 2, 0)], 7, run).is_err());
        let mut newer = tally(100, 1, 1, 0);
        newer.object.etag = Some("other".into());
        assert!(entries([tally(0, 3, 3, 0), newer], 7, run).is_err());
    }
}
