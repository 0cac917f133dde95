//! What a run came to, for the user: the closing summary, and the refusal of a source with too many bad records.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::Schema;
use datafusion::prelude::col;
use lakewright_common::error::{Error, Result};
use lakewright_common::printable;
use lakewright_common::read::quarantine;
use lakewright_common::storage::s3::requests::RequestCounts;

use super::RunContext;
use super::ingest::StagedSource;
use crate::engine::Exchanged;
use crate::engine::parquet_table::ParquetTable;
use crate::lake::manifest::{Manifest, SourceCounts};
use crate::output::{self, Format, bytes};
use crate::process;

/// Rejected records shown when a source has too many.
const SHOWN_RECORDS: usize = 10;
/// Unknown fields named per source in the summary.
const NAMED_FIELDS: usize = 20;

/// A run that committed.
pub(crate) struct Summary {
    version: u64,
    sources: BTreeMap<String, SourceCounts>,
    tables: Vec<TableLine>,
    warnings: Vec<String>,
    exchanged: Option<Exchanged>,
    requests: RequestCounts,
    /// Requests, expected and made, with their price.
    cost: Option<String>,
    elapsed: Duration,
}

struct TableLine {
    name: String,
    rows: u64,
    files: u64,
    bytes: u64,
    is_rebuilt: bool,
    delta_version: Option<u64>,
}

impl Summary {
    pub(crate) fn new(
        manifest: &Manifest,
        versions: &BTreeMap<String, u64>,
        warnings: Vec<String>,
        exchanged: Option<Exchanged>,
        requests: RequestCounts,
        cost: Option<String>,
        elapsed: Duration,
    ) -> Self {
        let tables = manifest.tables.iter().map(|table| TableLine {
            name: table.name.clone(),
            rows: table.rows(),
            files: table.files.len() as u64,
            bytes: table.bytes(),
            is_rebuilt: table.changed_in == manifest.version,
            delta_version: versions.get(&table.name).copied(),
        });
        Self {
            version: manifest.version,
            sources: manifest.counts.clone(),
            tables: tables.collect(),
            warnings,
            exchanged,
            requests,
            cost,
            elapsed,
        }
    }

    /// The summary as lines of text.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for warning in &self.warnings {
            let _ = writeln!(text, "warning: {warning}");
        }
        let _ = writeln!(text, "committed version {} of the lake", self.version);
        let _ = writeln!(
            text,
            "\n{:<12} {:>9} {:>12} {:>12} {:>12} {:>11}",
            "source", "objects", "bytes", "records", "staged", "quarantined"
        );
        for (name, counts) in &self.sources {
            let _ = writeln!(
                text,
                "{name:<12} {:>9} {:>12} {:>12} {:>12} {:>11}",
                counts.objects,
                bytes(counts.bytes),
                counts.records,
                counts.staged,
                counts.quarantined
            );
            if !counts.unknown_fields.is_empty() {
                let _ = writeln!(text, "  unknown fields: {}", named_fields(&counts.unknown_fields));
            }
        }
        let _ = writeln!(text, "\n{:<12} {:>9} {:>12} {:>12} {:>12}", "table", "files", "bytes", "rows", "delta");
        for table in &self.tables {
            let delta = table.delta_version.map_or_else(|| "behind".to_owned(), |version| version.to_string());
            let _ = writeln!(
                text,
                "{:<12} {:>9} {:>12} {:>12} {delta:>12}{}",
                table.name,
                table.files,
                bytes(table.bytes),
                table.rows,
                if table.is_rebuilt { "" } else { "  unchanged" }
            );
        }
        if let Some(Exchanged { workers, objects, bytes: exchanged, requests }) = self.exchanged {
            let _ = write!(
                text,
                "\n{workers} workers, {objects} objects of {} between their stages, {requests} requests for them",
                bytes(exchanged)
            );
        }
        if !self.requests.is_empty() {
            let _ = write!(text, "\nS3: {}", requests(&self.requests));
        }
        if let Some(cost) = &self.cost {
            let _ = write!(text, "\n\n{cost}");
        }
        let _ = write!(text, "\n{:.1} s elapsed", self.elapsed.as_secs_f64());
        if let Some(usage) = process::usage() {
            let _ =
                write!(text, ", {:.1} s CPU, {} peak memory", usage.cpu.as_secs_f64(), bytes(usage.peak_memory_bytes));
        }
        text
    }
}

/// `130 GET, 4 LIST, 52 PUT (3 failed), 1.2 MB read, 300 kB written`
fn requests(requests: &RequestCounts) -> String {
    let classes: Vec<String> = requests.by_class().iter().map(|(class, count)| format!("{count} {class}")).collect();
    let failed = match requests.failed() {
        0 => String::new(),
        failed => format!(" ({failed} failed)"),
    };
    format!(
        "{}{failed}, {} read, {} written",
        classes.join(", "),
        bytes(requests.bytes_read),
        bytes(requests.bytes_written)
    )
}

fn named_fields(fields: &BTreeMap<String, u64>) -> String {
    let mut named: Vec<(&String, &u64)> = fields.iter().collect();
    named.sort_by_key(|(name, count)| (std::cmp::Reverse(**count), (*name).clone()));
    let more = named.len().saturating_sub(NAMED_FIELDS);
    let mut text = named
        .iter()
        .take(NAMED_FIELDS)
        .map(|(name, count)| format!("`{}` ({count})", printable::line(name)))
        .collect::<Vec<_>>()
        .join(", ");
    if more > 0 {
        let _ = write!(text, " and {more} more");
    }
    text
}

/// What a source has too much of: rejected records, or bytes in which no record could be told apart.
fn excess(staged: &StagedSource<'_>) -> Option<String> {
    let counts = &staged.counts;
    #[expect(clippy::cast_precision_loss, reason = "a share needs no more than 52 bits")]
    let share = |part: u64, whole: u64| part as f64 / whole.max(1) as f64;
    let records = share(counts.quarantined, counts.records);
    let unframed = share(staged.unframed_bytes, staged.read_bytes);
    let mut excess = Vec::new();
    if records > staged.source.max_quarantine_share {
        let (rejected, all) = (counts.quarantined, counts.records);
        excess.push(format!("{rejected} of {all} records were rejected, {:.2} %", records * 100.0));
    }
    if unframed > staged.source.max_quarantine_share {
        let (part, all) = (staged.unframed_bytes, staged.read_bytes);
        excess.push(format!("no record could be told apart in {part} of {all} bytes, {:.2} %", unframed * 100.0));
    }
    (!excess.is_empty()).then(|| excess.join(", "))
}

/// Refuses a source with more rejected records, or bytes without records, than it allows, showing the first of them.
///
/// # Errors
/// Data, when a share is above the source's `max_quarantine_share`.
pub(super) async fn refuse_excess(context: &RunContext<'_>, staged: &StagedSource<'_>) -> Result<()> {
    let Some(excess) = excess(staged) else { return Ok(()) };
    let source = staged.source;
    let engine = |e| Error::from_engine(e, |e| Error::storage("read", "quarantine files just written", e));
    let schema = Arc::new(Schema::new(quarantine::fields()));
    let table = ParquetTable::new(schema, &[], staged.quarantine.clone());
    let first = context
        .session
        .read_table(Arc::new(table))
        .and_then(|frame| frame.sort(vec![col("object").sort(true, true), col("byte_offset").sort(true, true)]))
        .and_then(|frame| frame.limit(0, Some(SHOWN_RECORDS)))
        .and_then(|frame| {
            let text = datafusion::functions::unicode::expr_fn::left(col("text"), datafusion::prelude::lit(60_i64));
            frame.select(vec![
                col("object"),
                col("line"),
                col("byte_offset"),
                col("byte_end"),
                col("reason"),
                col("field"),
                col("detail"),
                text.alias("text"),
            ])
        })
        .map_err(engine)?
        .collect()
        .await
        .map_err(engine)?;
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
