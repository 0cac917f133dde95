//! Checks and resolves every part of `lake.toml`, even if an earlier part is wrong.
//!
//! This file contains the short parts, `[lake]` and `[limits]`. It also contains the checks that
//! concern several parts: references to other tables, and overlaps of sources, lake and spool.

use std::collections::BTreeMap;
use std::path::Path;

use percent_encoding::percent_decode_str;
use url::Url;

use super::diagnostics::{Diagnostics, Origin, did_you_mean};
use super::file::{Entry, Item, Value};
use super::memory::available_bytes;
use super::name::{check_names, same_but_for_case};
use super::object_patterns::ObjectMatcher;
use super::purpose::Purpose;
use super::resolved::{Bucket, Cluster, Config, Limits, Rule, Source, Table};
use super::section::Section;
use super::settings::{LAKE, LIMITS, ROOT};
use super::{bucket, cluster, defaults, prices, source, table};
use crate::error::{Error, Result};

/// Maximum value of `threads`. Hardly any machine has more cores, and further partitions would only
/// cost memory.
const MAX_THREADS: usize = 1024;

/// Names of SQL schemas; no table may have one of these names.
const RESERVED_TABLES: &[&str] = &["system", "staging", "information_schema"];

/// Checks and resolves `document`. Its relative paths start from `folder`, which is absolute.
///
/// # Errors
/// A configuration error that joins all faults: those in `found` and those that this function
/// finds.
pub(super) fn check(
    document: &Item,
    file: &Path,
    folder: &Path,
    purpose: Purpose,
    mut found: Diagnostics,
) -> Result<Config> {
    let diagnostics = &mut found;
    let Some(root) = Section::open("", document, ROOT, diagnostics) else {
        return Err(found.into_error());
    };
    let lake = lake(&root, folder, diagnostics);
    let sources = sources(&root, lake.as_ref(), folder, diagnostics);
    let tables = tables(&root, folder, diagnostics);
    let limits = limits(&root, folder, diagnostics);
    let cluster = root.get("cluster").and_then(|item| cluster::resolve(item, folder, purpose, diagnostics));
    let buckets = root.get("storage").map(|item| bucket::resolve(item, diagnostics)).unwrap_or_default();
    let prices = prices::resolve(root.get("prices"), diagnostics);
    check_spool(&root, cluster.as_ref(), &sources, lake.as_ref(), diagnostics);
    match lake {
        Some(lake) if found.is_empty() => {
            let urls = sources.iter().map(|source| &source.url).chain([&lake]);
            let spool = cluster.as_ref().and_then(|cluster| cluster.spool.as_ref());
            // An unused section is only a warning, because it does no harm.
            warn_of_unused(&buckets, urls.chain(spool));
            Ok(Config { file: file.to_path_buf(), lake, sources, tables, limits, cluster, buckets, prices })
        }
        None if found.is_empty() => Err(Error::internal("a configuration without a lake passed its check")),
        _ => Err(found.into_error()),
    }
}

/// Warns of sections for buckets that no URL names. The name in such a section is probably
/// misspelled.
fn warn_of_unused<'a>(buckets: &BTreeMap<String, Bucket>, used: impl Iterator<Item = &'a Url>) {
    let used: Vec<&str> = used.filter(|url| url.scheme() == "s3").filter_map(Url::host_str).collect();
    for bucket in buckets.keys().filter(|bucket| !used.contains(&bucket.as_str())) {
        tracing::warn!("`[storage.\"s3://{bucket}\"]` is for a bucket that no source, lake or spool is in");
    }
}

fn lake(root: &Section<'_>, folder: &Path, diagnostics: &mut Diagnostics) -> Option<Url> {
    let Some(item) = root.get("lake") else {
        let hint = "add `[lake]` and below it `url = \"lake\"`".to_owned();
        diagnostics.report_with_hint(&Origin::File, "`[lake]` is missing", hint);
        return None;
    };
    let section = Section::open("`[lake]`: ", item, LAKE, diagnostics)?;
    section.require("url", "url = \"lake\"", diagnostics)?;
    section.location("url", folder, diagnostics).map(|(url, _)| url)
}

fn sources(root: &Section<'_>, lake: Option<&Url>, folder: &Path, diagnostics: &mut Diagnostics) -> Vec<Source> {
    let mut sources = Vec::new();
    for Entry { key: name, item, .. } in named(root, "sources", "source", diagnostics) {
        if let Some((source, url_origin)) = source::resolve(name, item, folder, diagnostics) {
            check_apart(&source, url_origin, lake, diagnostics);
            sources.push(source);
        }
    }
    sources
}

/// Reports a lake inside a source, because the source would read the lake's files as input. Reports
/// a source inside the lake, because a cleanup of the lake could delete the source.
fn check_apart(source: &Source, origin: &Origin, lake: Option<&Url>, diagnostics: &mut Diagnostics) {
    let Some(lake) = lake else { return };
    let name = &source.name;
    if source.url.as_str().starts_with(lake.as_str()) {
        diagnostics.report(origin, format!("source `{name}`: `url` is inside the lake"));
    } else if may_read(source, lake) {
        let hint = "keep them apart, or exclude the lake's folder with `exclude`".to_owned();
        let message = format!("source `{name}`: the lake is inside `url` and would be read as input");
        diagnostics.report_with_hint(origin, message, hint);
    }
}

/// Returns whether objects below `url` may belong to a source.
fn may_read(source: &Source, url: &Url) -> bool {
    let Some(below) = url.as_str().strip_prefix(source.url.as_str()) else { return false };
    let folder = percent_decode_str(below.trim_end_matches('/')).decode_utf8_lossy();
    // Hidden folders are not input.
    !folder.split('/').any(|segment| segment.starts_with(['.', '_']))
        // Invalid patterns were already reported.
        && ObjectMatcher::new(&source.objects).is_ok_and(|objects| objects.may_select_below(&folder))
}

/// Reports a spool inside a source or the lake. The spool's objects would be mistaken for objects
/// of the source or the lake.
fn check_spool(
    root: &Section<'_>,
    cluster: Option<&Cluster>,
    sources: &[Source],
    lake: Option<&Url>,
    diagnostics: &mut Diagnostics,
) {
    let (Some(item), Some(spool)) = (root.get("cluster"), cluster.and_then(|cluster| cluster.spool.as_ref())) else {
        return;
    };
    if sources.iter().any(|source| source.url == *spool || may_read(source, spool)) {
        diagnostics.report(&item.origin, "`[cluster]`: `spool` is inside a source");
    }
    if lake.is_some_and(|lake| spool.as_str().starts_with(lake.as_str())) {
        diagnostics.report(&item.origin, "`[cluster]`: `spool` is inside the lake");
    }
}

fn tables(root: &Section<'_>, folder: &Path, diagnostics: &mut Diagnostics) -> Vec<Table> {
    let entries = named(root, "tables", "table", diagnostics);
    for Entry { key: name, origin, .. } in entries {
        if RESERVED_TABLES.iter().any(|reserved| same_but_for_case(reserved, name)) {
            diagnostics.report(origin, format!("table `{name}` has a reserved name"));
        }
    }
    let mut tables = Vec::new();
    for Entry { key: name, item, .. } in entries {
        let Some((table, check_origins)) = table::resolve(name, item, folder, diagnostics) else { continue };
        for (check, origin) in table.checks.iter().zip(check_origins) {
            let Rule::References { to_table, .. } = &check.rule else { continue };
            // Search all entries, because the table may come later in the file.
            if !entries.iter().any(|entry| entry.key == *to_table) {
                let hint = did_you_mean(to_table, entries.iter().map(|entry| entry.key.as_str()));
                diagnostics.report_with_hint(
                    origin,
                    format!("table `{name}`: a check references `{to_table}`, which is not a table"),
                    hint,
                );
            }
        }
        tables.push(table);
    }
    tables
}

/// Returns the TOML tables under `key`, such as `sources`, and checks their names.
fn named<'a>(root: &Section<'a>, key: &str, what: &str, diagnostics: &mut Diagnostics) -> &'a [Entry] {
    match root.get(key) {
        Some(Item { value: Value::Table(entries), .. }) => {
            check_names("", what, entries.iter().map(|entry| (entry.key.as_str(), &entry.origin)), diagnostics);
            entries
        }
        Some(item) => {
            root.wrong_type(key, item, diagnostics);
            &[]
        }
        None => &[],
    }
}

fn limits(root: &Section<'_>, folder: &Path, diagnostics: &mut Diagnostics) -> Limits {
    let nothing = Item { value: Value::Table(Vec::new()), origin: Origin::File };
    let item = root.get("limits").unwrap_or(&nothing);
    let section = Section::open("`[limits]`: ", item, LIMITS, diagnostics)
        // The fault is reported; continue with the defaults to check the rest.
        .or_else(|| Section::open("", &nothing, LIMITS, diagnostics));
    let default = default_limits();
    let Some(section) = section else { return default };
    Limits {
        memory_bytes: section.size("memory", default.memory_bytes, diagnostics),
        max_record_bytes: section.size("max_record_bytes", default.max_record_bytes, diagnostics),
        scratch: section.text("scratch", diagnostics).map(|scratch| folder.join(scratch.text)),
        threads: threads(&section, default.threads, diagnostics),
        split_bytes: section.size("split_bytes", default.split_bytes, diagnostics),
        concurrent_reads: section.count("concurrent_reads", default.concurrent_reads, diagnostics),
        target_file_bytes: section.size("target_file_bytes", default.target_file_bytes, diagnostics),
        max_open_files: section.count("max_open_files", default.max_open_files, diagnostics),
        max_decompression_ratio: section.count(
            "max_decompression_ratio",
            defaults::MAX_DECOMPRESSION_RATIO,
            diagnostics,
        ) as u64,
    }
}

fn threads(section: &Section<'_>, default: usize, diagnostics: &mut Diagnostics) -> usize {
    let threads = section.count("threads", default, diagnostics);
    if let Some(item) = section.get("threads").filter(|_| threads > MAX_THREADS) {
        section.report(&item.origin, &format!("`threads` must be at most {MAX_THREADS}, not {threads}"), diagnostics);
    }
    threads
}

/// Returns the limits for a `lake.toml` that sets none.
#[must_use]
pub fn default_limits() -> Limits {
    Limits {
        memory_bytes: available_bytes() / 2,
        max_record_bytes: defaults::MAX_RECORD_BYTES,
        scratch: None,
        threads: std::thread::available_parallelism().map_or(1, usize::from),
        split_bytes: defaults::SPLIT_BYTES,
        concurrent_reads: defaults::CONCURRENT_READS,
        target_file_bytes: defaults::TARGET_FILE_BYTES,
        max_open_files: defaults::MAX_OPEN_FILES,
        max_decompression_ratio: defaults::MAX_DECOMPRESSION_RATIO as u64,
    }
}
