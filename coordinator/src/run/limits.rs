//! Limits for rejected data. A source with too many rejected records, or with too many bytes in
//! which no record was found, fails the run.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use datafusion::error::DataFusionError;
use datafusion::prelude::{col, lit};
use lakewright_common::error::{EngineContext, Error, Result};
use lakewright_common::read::quarantine;

use super::context::RunContext;
use super::staged::StagedSource;
use crate::engine::parquet_table::ParquetTable;
use crate::output::{self, Format};

/// Maximum number of rejected records that are shown.
const SHOWN_RECORDS: usize = 10;
/// Maximum number of characters that are shown of each rejected record.
const SHOWN_CHARACTERS: i64 = 60;

/// Fails if one of two shares is larger than the `max_quarantine_share` of the source: the share of
/// its records that were rejected, or the share of its bytes in which no record was found.
///
/// # Errors
/// A data error with the first rejected records. A storage error if the quarantine files cannot be
/// read.
pub(super) async fn check_quarantine_share(context: &RunContext<'_>, staged: &StagedSource<'_>) -> Result<()> {
    let Some(excess) = excess(staged) else { return Ok(()) };
    let source = staged.source;
    let first = first_rejected(context, staged)
        .await
        .engine_context(|e| Error::storage("read", "quarantine files just written", e))?;
    let mut shown = Vec::new();
    output::write(&mut shown, &first, Format::Table)?;
    Err(Error::data(format!(
        "source `{}`: {excess}, and `max_quarantine_share` allows {:.2} %; nothing was committed\n{}",
        source.name,
        source.max_quarantine_share * 100.0,
        String::from_utf8_lossy(&shown).trim_end()
    ))
    .hint(format!(
        "correct the objects or the declared fields, or raise `max_quarantine_share` under `[sources.{}]`",
        source.name
    )))
}

/// Returns a description of each share above the limit, or `None` if both shares are within the
/// limit.
fn excess(staged: &StagedSource<'_>) -> Option<String> {
    let counts = &staged.counts;
    let records = share(counts.quarantined, counts.records);
    // The unreadable rest of a damaged object is only one record in the quarantine, so the share of
    // records alone would hardly show it.
    let unframed = share(staged.unframed_bytes, staged.read_bytes);
    let mut excess = Vec::new();
    if records > staged.source.max_quarantine_share {
        let (rejected, all) = (counts.quarantined, counts.records);
        excess.push(format!("{rejected} of {all} records were rejected, {:.2} %", records * 100.0));
    }
    if unframed > staged.source.max_quarantine_share {
        let (part, all) = (staged.unframed_bytes, staged.read_bytes);
        excess.push(format!("no record was found in {part} of {all} bytes, {:.2} %", unframed * 100.0));
    }
    (!excess.is_empty()).then(|| excess.join(", "))
}

/// Returns `part` as a share of `whole`, from 0 to 1. The share of an empty whole is 0.
#[expect(clippy::cast_precision_loss, reason = "a share needs no more than 52 bits")]
pub(crate) fn share(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64
}

/// Reads the first rejected records, in the order of their objects.
async fn first_rejected(
    context: &RunContext<'_>,
    staged: &StagedSource<'_>,
) -> std::result::Result<Vec<RecordBatch>, DataFusionError> {
    let schema = Arc::new(Schema::new(quarantine::fields()));
    let table = ParquetTable::new(schema, &[], staged.quarantine.clone());
    let text = datafusion::functions::unicode::expr_fn::left(col("text"), lit(SHOWN_CHARACTERS));
    let columns = ["object", "line", "byte_offset", "byte_end", "reason", "field", "detail"].map(col);
    let frame = context.session.read_table(Arc::new(table))?;
    // Sorted, so that the message is the same for each run over the same objects.
    let sorted = frame.sort(vec![col("object").sort(true, true), col("byte_offset").sort(true, true)])?;
    let first = sorted.limit(0, Some(SHOWN_RECORDS))?;
    first.select(columns.into_iter().chain([text.alias("text")]).collect::<Vec<_>>())?.collect().await
}
