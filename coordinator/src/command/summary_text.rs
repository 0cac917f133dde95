//! Prints the summary of a run as text: sources, tables, workers, requests, cost, time.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use lakewright_common::printable;
use lakewright_common::storage::s3::requests::RequestCounts;

use crate::lake::manifest::SourceCounts;
use crate::output::bytes;
use crate::run::summary::{ExchangeSummary, Outcome, RunSummary, TableSummary};

/// Maximum number of undeclared fields that are named for one source.
const NAMED_FIELDS: usize = 20;

const NO_DATA: &str = "nothing to ingest: no source has an object, and the lake has no version yet";
const ALL_SKIPPED: &str = "nothing was ingested: every new object was skipped";
const NOTHING_NEW: &str = "nothing new: every object was ingested before, and no model, key or check changed";

/// Returns the summary as lines of text, without its warnings.
pub(super) fn text(summary: &RunSummary) -> String {
    let version = match summary.outcome {
        Outcome::Committed => summary.version.unwrap_or_default(),
        Outcome::NothingNew => return NOTHING_NEW.to_owned(),
        Outcome::AllSkipped => return ALL_SKIPPED.to_owned(),
        Outcome::NoData => return NO_DATA.to_owned(),
    };
    let mut text = format!("committed version {version} of the lake\n");
    add_sources(&mut text, summary);
    add_tables(&mut text, &summary.tables);
    add_usage(&mut text, summary);
    text
}

fn add_sources(text: &mut String, summary: &RunSummary) {
    let _ = writeln!(
        text,
        "\n{:<12} {:>9} {:>12} {:>12} {:>12} {:>11}",
        "source", "objects", "bytes", "records", "staged", "quarantined"
    );
    for (name, counts) in &summary.sources {
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
        if !counts.nulled_values.is_empty() {
            let _ = writeln!(text, "  invalid values that became null: {}", named_fields(&counts.nulled_values));
        }
        if counts.null_records > 0 {
            let _ = writeln!(text, "  skipped records that were null: {}", counts.null_records);
        }
    }
}

fn add_tables(text: &mut String, tables: &[TableSummary]) {
    let _ = writeln!(text, "\n{:<12} {:>9} {:>12} {:>12} {:>12}", "table", "files", "bytes", "rows", "delta");
    for table in tables {
        // `None` if the Delta log could not be brought up to this version.
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
}

fn add_usage(text: &mut String, summary: &RunSummary) {
    let total = |count: fn(&SourceCounts) -> u64| summary.sources.values().map(count).sum::<u64>();
    let (templated, staged) = (total(|counts| counts.templated), total(|counts| counts.staged));
    if staged > 0 {
        let _ = write!(text, "\n{templated} of {staged} records had a known shape and needed no parser");
    }
    if let Some(ExchangeSummary { workers, objects, bytes: exchanged, requests }) = &summary.exchange {
        let _ = write!(
            text,
            "\n{workers} {}, {objects} objects of {} between their stages, {requests} requests for them",
            if *workers == 1 { "worker" } else { "workers" },
            bytes(*exchanged)
        );
    }
    if !summary.requests.is_empty() {
        let _ = write!(text, "\nS3: {}", requests(&summary.requests));
    }
    if let Some(cost) = &summary.cost {
        let _ = write!(text, "\n\n{}", cost.text());
    }
    let _ = write!(text, "\n{:.1} s elapsed", summary.elapsed_seconds);
    if let Some(usage) = summary.usage {
        let _ = write!(text, ", {:.1} s CPU, {} peak memory", usage.cpu_seconds, bytes(usage.peak_memory_bytes));
    }
}

/// Formats the numbers of requests, for example as `130 GET, 4 LIST, 52 PUT (3 failed), 1.2 MB
/// read, 300 kB written`.
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

/// Returns the names of the most frequent fields, each with its count.
fn named_fields(fields: &BTreeMap<String, u64>) -> String {
    let mut named: Vec<(&String, &u64)> = fields.iter().collect();
    // Fields with equal counts are ordered by name, so that the output is the same each time.
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
