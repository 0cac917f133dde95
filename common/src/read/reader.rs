//! ④ Reads the splits of one partition: fetches their chunks, passes these to the reader of the
//! source's format, and sends the rows.
//!
//! Small objects are fetched concurrently, because each costs a round trip. Large objects are
//! fetched one at a time, because each fills memory. Records are decoded one after another as they
//! arrive.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use futures::stream::{self, StreamExt};
use tokio::sync::mpsc::Sender;

use crate::config::resolved::{Limits, Source};
use crate::error::{Context, Error, Result};
use crate::read::chunks::{Chunks, Fault};
use crate::read::fetch::{StoredBytes, fetch, fetch_ahead};
use crate::read::quarantine::RejectedRows;
use crate::read::record_format::{RecordReader, needs_survey};
use crate::read::record_sink::{BlockEnd, RecordSink};
use crate::read::scan_rows::{ReadReport, ScanRows, report_rows};
use crate::read::split::Split;
use crate::read::tally::ObjectTally;
use crate::session::progress::ReadProgress;
use crate::storage::Storage;

/// Maximum size of an object that is fetched concurrently with others.
const SMALL_OBJECT_BYTES: u64 = 64 * 1024;
/// Maximum number of small files that one blocking task reads, as a group.
const FILES_AT_ONCE: usize = 64;
/// Number of groups of small files that are read ahead.
const GROUPS_AHEAD: usize = 2;
/// Maximum number of bytes of an object that are kept in memory between its survey and its records.
const SURVEYED_BYTES: usize = 8 * 1024 * 1024;
/// Maximum number of reports that are sent together.
const REPORTS_AT_ONCE: usize = 1024;

/// Properties of a scan that the reader of a partition needs.
#[derive(Debug)]
pub struct ReadContext {
    pub source: Arc<Source>,
    pub storage: Storage,
    pub limits: Arc<Limits>,
    /// Number of records after which to stop, even in the middle of an object; `None` unless the
    /// scan reads a sample.
    pub max_records: Option<u64>,
    /// Schema of the rows of the scan.
    pub schema: SchemaRef,
    pub progress: Arc<ReadProgress>,
}

/// Returns how often the bytes of an object of `source` are requested.
#[must_use]
pub fn passes(source: &Source, stored_bytes: u64) -> u64 {
    // The number of decompressed bytes is not known before.
    if needs_survey(source) && stored_bytes > SURVEYED_BYTES as u64 { 2 } else { 1 }
}

/// Reads `splits` and sends their rows and reports. Returns early, without an error, when the
/// receiver is dropped.
///
/// # Errors
/// Reading from storage fails, or an object changed after it was listed. A bad record is not an
/// error.
pub async fn read_splits(
    context: &ReadContext,
    splits: &[Split],
    batches: &Sender<datafusion::error::Result<RecordBatch>>,
) -> Result<()> {
    let mut partition = PartitionReader {
        context,
        records: RecordReader::new(&context.source, &context.limits),
        rejected: RejectedRows::default(),
        reports: Vec::new(),
        batches,
        records_read: 0,
    };
    let decoding = &context.source.decoding;
    let (small, large): (Vec<&Split>, Vec<&Split>) =
        splits.iter().partition(|split| split.object.bytes <= SMALL_OBJECT_BYTES);
    let groups: Vec<Vec<Split>> =
        small.chunks(FILES_AT_ONCE).map(|splits| splits.iter().copied().cloned().collect()).collect();
    let mut fetched = stream::iter(groups)
        .map(|splits| read_ahead(&context.storage, splits))
        .buffered(GROUPS_AHEAD)
        .flat_map(stream::iter)
        .map(|(split, whole)| async move {
            let stored = StoredBytes::default();
            let chunks = fetch_ahead(&context.storage, &split, decoding, &context.limits, whole, &stored).await;
            (split, chunks, stored)
        })
        // Keep the order of the splits, so that results do not depend on the speed of requests.
        .buffered(context.limits.concurrent_reads);
    while let Some((split, chunks, stored)) = fetched.next().await {
        if partition.read_split(&split, chunks, &stored).await? == Listener::Gone {
            return Ok(());
        }
        if partition.has_enough() {
            break;
        }
    }
    // Cancel the requests that are in progress, because large objects need the memory.
    drop(fetched);
    for split in large {
        if partition.has_enough() {
            break;
        }
        let stored = StoredBytes::default();
        let chunks = fetch(&context.storage, split, decoding, &context.limits, &stored);
        if partition.read_split(split, chunks, &stored).await? == Listener::Gone {
            return Ok(());
        }
    }
    partition.finish().await
}

/// Reads the files of small splits together. Returns each split with the bytes of its object, or
/// with `None` if the bytes have to be requested.
async fn read_ahead(storage: &Storage, splits: Vec<Split>) -> Vec<(Split, Option<Bytes>)> {
    let objects = splits.iter().map(|split| split.object.clone()).collect();
    let files = storage.read_listed_files(objects).await;
    // Use the bytes only for whole objects. A part of an object needs different bytes.
    let usable = |(split, bytes): (Split, Option<Bytes>)| {
        let bytes = bytes.filter(|_| split.is_whole());
        (split, bytes)
    };
    splits.into_iter().zip(files).map(usable).collect()
}

/// Whether the receiver of the rows still exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Listener {
    Here,
    Gone,
}

struct PartitionReader<'a> {
    context: &'a ReadContext,
    records: RecordReader,
    rejected: RejectedRows,
    reports: Vec<ReadReport>,
    batches: &'a Sender<datafusion::error::Result<RecordBatch>>,
    /// Number of records that were read, over all splits.
    records_read: u64,
}

impl PartitionReader<'_> {
    async fn read_split(&mut self, split: &Split, mut chunks: Chunks, stored: &StoredBytes) -> Result<Listener> {
        if needs_survey(&self.context.source) {
            chunks = self.survey(split, chunks).await?;
        }
        self.records.start_split(split);
        let max_records = self.context.max_records.map_or(u64::MAX, |most| most.saturating_sub(self.records_read));
        let mut tally = ObjectTally::of(split);
        let templated_before = self.records.templated_records();
        let mut ended = false;
        let mut decompressed = 0;
        while !ended {
            let mut bytes = 0;
            match chunks.next().await {
                Some(Ok(chunk)) => {
                    bytes = chunk.len() as u64;
                    decompressed += bytes;
                    self.records.push(&chunk);
                }
                Some(Err(Fault::Broken { reason, detail })) => {
                    self.records.break_off(reason, detail);
                    ended = true;
                }
                Some(Err(Fault::Storage(error))) => return Err(error),
                None => {
                    self.records.finish_split();
                    ended = true;
                }
            }
            let records_before = tally.records;
            loop {
                let (source, rejected) = (self.context.source.name.as_str(), &mut self.rejected);
                let mut sink = RecordSink { source, split, tally: &mut tally, rejected, max_records };
                match self.records.read_block(&mut sink) {
                    BlockEnd::NeedsChunk => break,
                    BlockEnd::Stopped if sink.has_enough() => {
                        ended = true;
                        break;
                    }
                    BlockEnd::Stopped => {
                        if self.send_rows().await? == Listener::Gone {
                            return Ok(Listener::Gone);
                        }
                    }
                }
            }
            self.context.progress.add(0, tally.records - records_before, bytes);
            // The rest of the chunk belongs to the next split.
            if self.records.is_done() {
                break;
            }
        }
        self.records_read += tally.records;
        tally.lines = self.records.lines();
        tally.templated = self.records.templated_records() - templated_before;
        tally.count_bytes(split, stored.count(), decompressed);
        // Count an object that was cut into parts when its last part ends.
        self.context.progress.add(u64::from(split.range.end == split.object.bytes), 0, 0);
        self.reports.push(ReadReport::Object(tally));
        if self.reports.len() >= REPORTS_AT_ONCE { self.send_reports().await } else { Ok(Listener::Here) }
    }

    /// Surveys the object of `split`. Returns its chunks again: those in memory if the object is
    /// small, otherwise from storage.
    async fn survey(&mut self, split: &Split, mut chunks: Chunks) -> Result<Chunks> {
        self.records.start_survey(split);
        let (mut kept, mut bytes) = (Vec::new(), 0);
        while let Some(chunk) = chunks.next().await {
            match &chunk {
                Ok(chunk) => {
                    self.records.survey(chunk);
                    bytes += chunk.len();
                }
                Err(Fault::Broken { .. }) => {}
                Err(Fault::Storage(_)) => return Ok(stream::iter([chunk]).boxed()),
            }
            if bytes <= SURVEYED_BYTES {
                kept.push(chunk);
            }
        }
        if bytes <= SURVEYED_BYTES {
            return Ok(stream::iter(kept).boxed());
        }
        let ReadContext { source, storage, limits, .. } = self.context;
        // The bytes of the survey were counted already.
        Ok(fetch(storage, split, &source.decoding, limits, &StoredBytes::default()))
    }

    fn has_enough(&self) -> bool {
        self.context.max_records.is_some_and(|most| self.records_read >= most)
    }

    async fn send_rows(&mut self) -> Result<Listener> {
        let rows = self.records.take_rows().context(|| Error::internal("decoded records make no batch"))?;
        if let Some(rows) = rows
            && self.send(ScanRows::Records(rows)).await? == Listener::Gone
        {
            return Ok(Listener::Gone);
        }
        if self.rejected.rows() > 0 {
            let rejected = self.rejected.finish();
            return self.send(ScanRows::Rejected(rejected)).await;
        }
        Ok(Listener::Here)
    }

    async fn send_reports(&mut self) -> Result<Listener> {
        let reports = report_rows(std::mem::take(&mut self.reports));
        self.send(ScanRows::Reports(reports)).await
    }

    async fn send(&self, rows: ScanRows) -> Result<Listener> {
        let batch = rows.into_batch(&self.context.schema).map_err(Error::into_engine);
        let sent: std::result::Result<(), _> = self.batches.send(batch).await;
        Ok(if sent.is_ok() { Listener::Here } else { Listener::Gone })
    }

    async fn finish(mut self) -> Result<()> {
        // Send rows before reports, because a report means that the rows were sent. The counts of
        // fields are complete only once the last rows were taken.
        if self.send_rows().await? == Listener::Here {
            self.reports.push(ReadReport::Fields(self.records.field_counts()));
            self.send_reports().await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
