//! ④ Reads the splits of one partition: fetches, frames and decodes them, and sends the rows.
//!
//! Small objects are fetched concurrently, because each costs a round trip. Large objects are fetched
//! one at a time, because each fills memory. Records are decoded one after another as they arrive.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use futures::stream::{self, BoxStream, StreamExt};
use tokio::sync::mpsc::Sender;

use crate::config::resolved::{Limits, Source};
use crate::error::{Context, Error, Result};
use crate::read::fetch::{Fault, Fetched, StoredBytes, fetch, fetch_ahead};
use crate::read::framing::{Extent, Framed, Framer};
use crate::read::json::decoder::Decoder;
use crate::read::quarantine::{RejectedRecord, RejectedRows};
use crate::read::rejection::{Reason, Rejection};
use crate::read::scan_rows::{ReadReport, ScanRows, report_rows};
use crate::read::split::Split;
use crate::read::tally::{Damage, ObjectTally};
use crate::session::BATCH_ROWS;
use crate::session::progress::ReadProgress;
use crate::storage::Storage;

/// Objects up to this size are fetched concurrently.
const SMALL_OBJECT_BYTES: u64 = 64 * 1024;
/// A batch is sent when it contains this many bytes, even if it has few rows.
const BATCH_BYTES: usize = 16 * 1024 * 1024;
/// Number of reports that are sent together.
const REPORTS_AT_ONCE: usize = 1024;

/// Context of one partition of a scan.
#[derive(Debug)]
pub struct ReadContext {
    pub source: Arc<Source>,
    pub storage: Storage,
    pub limits: Arc<Limits>,
    /// Number of records after which to stop, also in the middle of an object; `None` except for
    /// samples.
    pub max_records: Option<u64>,
    /// Schema of the rows of the scan.
    pub schema: SchemaRef,
    pub progress: Arc<ReadProgress>,
}

type Chunks = BoxStream<'static, std::result::Result<Fetched, Fault>>;

/// Reads `splits` and sends their rows and reports. Returns early, without an error, when the receiver
/// is dropped.
///
/// # Errors
/// Storage fails, or an object changed after it was listed. A bad record is not an error.
pub async fn read_splits(
    context: &ReadContext,
    splits: &[Split],
    batches: &Sender<datafusion::error::Result<RecordBatch>>,
) -> Result<()> {
    let mut reader = Reader {
        context,
        decoder: Decoder::new(&context.source.fields),
        rejected: RejectedRows::default(),
        reports: Vec::new(),
        batches,
        records: 0,
    };
    let (small, large): (Vec<&Split>, Vec<&Split>) =
        splits.iter().partition(|split| split.object.bytes <= SMALL_OBJECT_BYTES);
    let mut fetched = stream::iter(small.into_iter().cloned())
        .map(|split| async move {
            let stored = StoredBytes::default();
            let chunks = fetch_ahead(&context.storage, &split, &context.limits, &stored).await;
            (split, chunks, stored)
        })
        .buffered(context.limits.concurrent_reads);
    while let Some((split, chunks, stored)) = fetched.next().await {
        if reader.read_split(&split, chunks, &stored).await? == Listener::Gone {
            return Ok(());
        }
        if reader.has_enough() {
            break;
        }
    }
    drop(fetched);
    for split in large {
        if reader.has_enough() {
            break;
        }
        let stored = StoredBytes::default();
        let chunks = fetch(&context.storage, split, &context.limits, &stored);
        if reader.read_split(split, chunks, &stored).await? == Listener::Gone {
            return Ok(());
        }
    }
    reader.finish().await
}

/// State of the receiver of the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Listener {
    Here,
    Gone,
}

struct Reader<'a> {
    context: &'a ReadContext,
    decoder: Decoder,
    rejected: RejectedRows,
    reports: Vec<ReadReport>,
    batches: &'a Sender<datafusion::error::Result<RecordBatch>>,
    /// Number of records of all splits so far.
    records: u64,
}

impl Reader<'_> {
    async fn read_split(&mut self, split: &Split, mut chunks: Chunks, stored: &StoredBytes) -> Result<Listener> {
        let mut framer = Framer::for_split(split, &self.context.source.format, self.context.limits.max_record_bytes);
        let mut tally = ObjectTally::of(split);
        let templated_before = self.decoder.templated_records();
        let mut ended = false;
        let mut decompressed = 0;
        while !ended {
            let mut bytes = 0;
            match chunks.next().await {
                Some(Ok(chunk)) => {
                    bytes = chunk.len() as u64;
                    decompressed += bytes;
                    framer.push(&chunk);
                }
                Some(Err(Fault::Broken { reason, detail })) => {
                    framer.break_off(reason, detail);
                    ended = true;
                }
                Some(Err(Fault::Storage(error))) => return Err(error),
                None => {
                    framer.finish();
                    ended = true;
                }
            }
            let records_before = tally.records;
            while let Some(framed) = framer.next() {
                tally.records += 1;
                self.records += 1;
                self.take(split, framed, &mut tally);
                if self.is_full() && self.send_rows().await? == Listener::Gone {
                    return Ok(Listener::Gone);
                }
                if self.has_enough() {
                    ended = true;
                    break;
                }
            }
            self.context.progress.add(0, tally.records - records_before, bytes);
            if framer.is_done() {
                break;
            }
        }
        tally.lines = framer.lines();
        tally.templated = self.decoder.templated_records() - templated_before;
        tally.count_bytes(split, stored.count(), decompressed);
        // An object in several parts counts with its last part.
        self.context.progress.add(u64::from(split.range.end == split.object.bytes), 0, 0);
        self.reports.push(ReadReport::Object(tally));
        if self.reports.len() >= REPORTS_AT_ONCE { self.send_reports().await } else { Ok(Listener::Here) }
    }

    /// Turns a record into a row, either of the staging table or of the quarantine.
    fn take(&mut self, split: &Split, framed: Framed<'_>, tally: &mut ObjectTally) {
        let rejected = |offset, bytes, line, text| RejectedRecord {
            source: &self.context.source.name,
            object: &split.object.key,
            split_start: split.range.start,
            byte_offset: offset,
            byte_end: offset + bytes,
            line,
            reason: Reason::Malformed,
            field: None,
            detail: "",
            text,
        };
        match framed {
            Framed::Record { offset, line, text } => match self.decoder.decode(text) {
                Ok(()) => tally.staged += 1,
                Err(Rejection { reason, field, detail }) => {
                    tally.quarantined += 1;
                    let rejected = rejected(offset, text.len() as u64, line, text);
                    self.rejected.push(&RejectedRecord {
                        reason,
                        field: field.as_deref(),
                        detail: &detail,
                        ..rejected
                    });
                }
            },
            Framed::Broken { offset, bytes, line, extent, reason, detail, text } => {
                tally.quarantined += 1;
                if extent != Extent::Record {
                    tally.unframed_bytes += bytes;
                }
                // Such an object has no text, so its entry covers the bytes as stored.
                let is_unread = reason == Reason::UnsupportedFormat && offset + bytes == 0;
                let bytes = if is_unread { split.object.bytes } else { bytes };
                let rejected = rejected(offset, bytes, line, text);
                self.rejected.push(&RejectedRecord { reason, detail: &detail, ..rejected });
                if extent == Extent::Rest {
                    tally.damage = Some(Damage { byte_offset: offset, reason, detail });
                }
            }
        }
    }

    fn has_enough(&self) -> bool {
        self.context.max_records.is_some_and(|most| self.records >= most)
    }

    fn is_full(&self) -> bool {
        self.decoder.rows() >= BATCH_ROWS
            || self.decoder.bytes() >= BATCH_BYTES
            || self.rejected.rows() >= BATCH_ROWS
            || self.rejected.bytes() >= BATCH_BYTES
    }

    async fn send_rows(&mut self) -> Result<Listener> {
        if self.decoder.rows() > 0 {
            let records = self.decoder.finish().context(|| Error::internal("decoded records make no batch"))?;
            if self.send(ScanRows::Records(records)).await? == Listener::Gone {
                return Ok(Listener::Gone);
            }
        }
        if self.rejected.rows() > 0 {
            let rejected = self.rejected.finish();
            return self.send(ScanRows::Rejected(rejected)).await;
        }
        Ok(Listener::Here)
    }

    async fn send_reports(&mut self) -> Result<Listener> {
        let reports = report_rows(&std::mem::take(&mut self.reports))?;
        self.send(ScanRows::Reports(reports)).await
    }

    async fn send(&self, rows: ScanRows) -> Result<Listener> {
        let batch = rows.into_batch(&self.context.schema).map_err(Error::into_engine);
        let sent: std::result::Result<(), _> = self.batches.send(batch).await;
        Ok(if sent.is_ok() { Listener::Here } else { Listener::Gone })
    }

    async fn finish(mut self) -> Result<()> {
        self.reports.push(ReadReport::UnknownFields(self.decoder.unknown_fields()));
        if self.send_rows().await? == Listener::Here {
            self.send_reports().await?;
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
mod tests;
