//! The pass over the tree: every part is checked and resolved, whatever was wrong with the one before.
//!
//! Here are the short parts, `[lake]` and `[limits]`, and what holds between parts: a reference to a
//! table, a source and a lake that lie in each other.

use std::collections::BTreeMap;
use std::path::Path;

use url::Url;

use super::fault::{Faults, did_you_mean};
use super::file::{Entry, Node, Origin, Value};
use super::memory::available_bytes;
use super::name::{check_names, same_but_for_case};
use super::resolved::{Bucket, Cluster, Config, Limits, Rule, Source, Table};
use super::section::Section;
use super::settings::{LAKE, LIMITS, ROOT};
use super::{Purpose, bucket, cluster, prices, source, table};
use crate::error::{Error, Result};

const MIB: u64 = 1 << 20;
/// Partitions beyond the cores of any machine only cost memory.
const MAX_THREADS: usize = 1024;

/// Names of schemas in SQL, which a table cannot have as well.
const RESERVED_TABLES: &[&str] = &["system", "staging", "information_schema"];

/// Checks and resolves `document`, whose relative paths start from `folder`, which is absolute.
///
/// # Errors
/// Configuration: `faults` and all that were found here.
pub(super) fn check(
    document: &Node,
    file: &Path,
    folder: &Path,
    purpose: Purpose,
    mut faults: Faults,
) -> Result<Config> {
    let faults_so_far = &mut faults;
    let Some(root) = Section::open("", document, ROOT, faults_so_far) else {
        return Err(faults.into_error());
    };
    let lake = lake(&root, folder, faults_so_far);
    let sources = sources(&root, lake.as_ref(), folder, faults_so_far);
    let tables = tables(&root, folder, faults_so_far);
    let limits = limits(&root, folder, faults_so_far);
    let cluster = root.node("cluster").and_then(|node| cluster::resolve(node, folder, purpose, faults_so_far));
    let buckets = root.node("storage").map(|node| bucket::resolve(node, faults_so_far)).unwrap_or_default();
    let prices = prices::resolve(root.node("prices"), faults_so_far);
    check_spool(&root, cluster.as_ref(), &sources, lake.as_ref(), faults_so_far);
    match lake {
        Some(lake) if faults.is_empty() => {
            let places = sources.iter().map(|source| &source.url).chain([&lake]);
            let spool = cluster.as_ref().and_then(|cluster| cluster.spool.as_ref());
            warn_of_unused(&buckets, places.chain(spool));
            Ok(Config { file: file.to_path_buf(), lake, sources, tables, limits, cluster, buckets, prices })
        }
        None if faults.is_empty() => Err(Error::internal("a configuration without a lake passed its check")),
        _ => Err(faults.into_error()),
    }
}

/// A section for another bucket is likely a slip of the pen.
fn warn_of_unused<'a>(buckets: &BTreeMap<String, Bucket>, used: impl Iterator<Item = &'a Url>) {
    let used: Vec<&str> = used.filter(|url| url.scheme() == "s3").filter_map(Url::host_str).collect();
    for bucket in buckets.keys().filter(|bucket| !used.contains(&bucket.as_str())) {
        tracing::warn!("`[storage.\"s3://{bucket}\"]` is about a bucket that nothing here is in");
    }
}

fn lake(root: &Section<'_>, folder: &Path, faults: &mut Faults) -> Option<Url> {
    let Some(node) = root.node("lake") else {
        let hint = "add `[lake]` and below it `url = \"lake\"`".to_owned();
        faults.report_with_hint(&Origin::File, "`[lake]` is missing", hint);
        return None;
    };
    let section = Section::open("`[lake]`: ", node, LAKE, faults)?;
    section.require("url", "url = \"lake\"", faults)?;
    section.location("url", folder, faults).map(|(url, _)| url)
}

fn sources(root: &Section<'_>, lake: Option<&Url>, folder: &Path, faults: &mut Faults) -> Vec<Source> {
    let mut sources = Vec::new();
    for Entry { key: name, node, .. } in named(root, "sources", "source", faults) {
        if let Some((source, url_origin)) = source::resolve(name, node, folder, faults) {
            check_apart(&source, url_origin, lake, faults);
            sources.push(source);
        }
    }
    sources
}

/// A lake inside a source would be read as its input; a source inside the lake may be cleaned away with it.
fn check_apart(source: &Source, origin: &Origin, lake: Option<&Url>, faults: &mut Faults) {
    let Some(lake) = lake else { return };
    let name = &source.name;
    if source.url.as_str().starts_with(lake.as_str()) {
        faults.report(origin, format!("source `{name}`: `url` lies inside the lake"));
    } else if let Some(below) = lake.as_str().strip_prefix(source.url.as_str()) {
        // What is hidden is no input.
        if !below.split('/').any(|segment| segment.starts_with(['.', '_'])) {
            faults.report(origin, format!("source `{name}`: the lake lies inside `url` and would be read as input"));
        }
    }
}

/// A spool among a source's or a table's files would be taken for one of them.
fn check_spool(
    root: &Section<'_>,
    cluster: Option<&Cluster>,
    sources: &[Source],
    lake: Option<&Url>,
    faults: &mut Faults,
) {
    let (Some(node), Some(spool)) = (root.node("cluster"), cluster.and_then(|cluster| cluster.spool.as_ref())) else {
        return;
    };
    let places = sources.iter().map(|source| (&source.url, "a source")).chain(lake.map(|lake| (lake, "the lake")));
    for (_, what) in places.filter(|(url, _)| spool.as_str().starts_with(url.as_str())) {
        faults.report(&node.origin, format!("`[cluster]`: `spool` lies inside {what}"));
    }
}

fn tables(root: &Section<'_>, folder: &Path, faults: &mut Faults) -> Vec<Table> {
    let entries = named(root, "tables", "table", faults);
    for Entry { key: name, origin, .. } in entries {
        if RESERVED_TABLES.iter().any(|reserved| same_but_for_case(reserved, name)) {
            faults.report(origin, format!("table `{name}` has a reserved name"));
        }
    }
    let mut tables = Vec::new();
    for Entry { key: name, node, .. } in entries {
        let Some((table, check_origins)) = table::resolve(name, node, folder, faults) else { continue };
        for (check, origin) in table.checks.iter().zip(check_origins) {
            let Rule::References { to_table, .. } = &check.rule else { continue };
            if !entries.iter().any(|entry| entry.key == *to_table) {
                let hint = did_you_mean(to_table, entries.iter().map(|entry| entry.key.as_str()));
                faults.report_with_hint(
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

/// The tables under `key`, their names checked.
fn named<'a>(root: &Section<'a>, key: &str, what: &str, faults: &mut Faults) -> &'a [Entry] {
    match root.node(key) {
        Some(Node { value: Value::Table(entries), .. }) => {
            check_names("", what, entries.iter().map(|entry| (entry.key.as_str(), &entry.origin)), faults);
            entries
        }
        Some(node) => {
            root.wrong_type(key, node, faults);
            &[]
        }
        None => &[],
    }
}

fn limits(root: &Section<'_>, folder: &Path, faults: &mut Faults) -> Limits {
    let nothing = Node { value: Value::Table(Vec::new()), origin: Origin::File };
    let node = root.node("limits").unwrap_or(&nothing);
    let section = Section::open("`[limits]`: ", node, LIMITS, faults)
        // Reported; its defaults stand in while the rest is checked.
        .or_else(|| Section::open("", &nothing, LIMITS, faults));
    let Some(section) = section else { return defaults() };
    let default = defaults();
    Limits {
        memory_bytes: section.size("memory", default.memory_bytes, faults),
        max_record_bytes: section.size("max_record_bytes", default.max_record_bytes, faults),
        scratch: section.text("scratch", faults).map(|scratch| folder.join(scratch.text)),
        threads: threads(&section, default.threads, faults),
        split_bytes: section.size("split_bytes", default.split_bytes, faults),
        concurrent_reads: section.count("concurrent_reads", default.concurrent_reads, faults),
        target_file_bytes: section.size("target_file_bytes", default.target_file_bytes, faults),
        max_open_files: section.count("max_open_files", default.max_open_files, faults),
        max_decompression_ratio: section.count("max_decompression_ratio", 200, faults) as u64,
    }
}

fn threads(section: &Section<'_>, default: usize, faults: &mut Faults) -> usize {
    let threads = section.count("threads", default, faults);
    if let Some(node) = section.node("threads").filter(|_| threads > MAX_THREADS) {
        section.report(&node.origin, &format!("`threads` must be at most {MAX_THREADS}, not {threads}"), faults);
    }
    threads
}

/// The limits where nothing is set; `settings` says the same in words.
fn defaults() -> Limits {
    Limits {
        memory_bytes: available_bytes() / 2,
        max_record_bytes: 16 * MIB,
        scratch: None,
        threads: std::thread::available_parallelism().map_or(1, usize::from),
        split_bytes: 128 * MIB,
        concurrent_reads: 128,
        target_file_bytes: 256 * MIB,
        max_open_files: 64,
        max_decompression_ratio: 200,
    }
}
