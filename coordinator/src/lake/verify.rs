//! Verifies all objects of one version: compares each file with its digest in the version's
//! manifest, and each entry of a Delta log with its digest in a consistent document.
//!
//! Reads every byte once, in bounded memory. Reports an unreadable file like any other fault and
//! continues, so that one bad sector does not hide the next.

use futures::{StreamExt, stream};
use lakewright_common::digest::Digest;
use lakewright_common::error::Result;
use lakewright_common::storage::Storage;
use object_store::path::Path;

use super::manifest::{DataFile, Manifest, parse_key};
use super::publish::{self, DamagedDocument, PublishedEntry};
use super::{LakePath, manifest_store};

/// Maximum number of objects that are read at the same time.
const CONCURRENT_READS: usize = 16;
const FROM_A_COPY: &str = "restore it from a copy of the lake";

/// Result of a verification.
#[derive(Debug, Default)]
pub(crate) struct Verified {
    pub(crate) objects: u64,
    pub(crate) bytes: u64,
    /// Number of objects without a digest, because an older program version wrote them. Only their
    /// sizes were compared.
    pub(crate) without_digest: u64,
    /// Damaged and missing objects, sorted by key.
    pub(crate) faults: Vec<Fault>,
}

/// An object that is missing, unreadable, or different from what was written.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) key: String,
    pub(crate) what: String,
    /// Action that restores the object, and what is lost if it cannot be restored.
    pub(crate) restore: String,
}

/// An object with the size and digest that it should have.
struct Expected<'a> {
    key: Path,
    bytes: Option<u64>,
    digest: Option<&'a Digest>,
    part: Part<'a>,
}

/// The part of the lake that an object belongs to.
#[derive(Clone, Copy)]
enum Part<'a> {
    Table { name: &'a str, rows: u64 },
    Staging { source: &'a str, rows: u64, added_in: u64 },
    Quarantine { rows: u64 },
    Ledger { source: &'a str, objects: u64 },
    DeltaEntry { table: &'a str },
}

/// Verifies all files that `manifest` names, the Delta logs of its tables, and the consistent
/// documents, which name Delta versions.
///
/// # Errors
/// A storage error that concerns more than a single file.
pub(crate) async fn verify(lake: &Storage, manifest: &Manifest) -> Result<Verified> {
    let documents = publish::documents(lake, manifest).await?;
    let mut verified = Verified { objects: documents.whole + documents.damaged.len() as u64, ..Verified::default() };
    verified.faults.extend(documents.damaged.into_iter().map(document_fault));
    let mut expected = files_of(manifest)?;
    expected.extend(documents.entries.iter().map(entry));
    let looks: Vec<_> = expected.into_iter().map(|expected| look(lake, expected)).collect();
    let mut looks = stream::iter(looks).buffer_unordered(CONCURRENT_READS);
    while let Some((expected, bytes, fault)) = looks.next().await {
        verified.objects += 1;
        verified.bytes += bytes;
        match fault {
            None => verified.without_digest += u64::from(expected.digest.is_none()),
            Some(what) => {
                let restore = restore(lake, expected.part).await;
                verified.faults.push(Fault { key: expected.key.to_string(), what, restore });
            }
        }
    }
    verified.faults.extend(sums(manifest));
    verified.faults.sort_by(|a, b| a.key.cmp(&b.key));
    Ok(verified)
}

/// Reads an object and compares it with `expected`. Returns three values: `expected` itself, the
/// number of bytes that were read, and a description of the fault, if there is one.
async fn look<'a>(lake: &Storage, expected: Expected<'a>) -> (Expected<'a>, u64, Option<String>) {
    let (bytes, digest) = match lake.digest_of(&expected.key).await {
        Ok(Some(found)) => found,
        Ok(None) => return (expected, 0, Some("is missing".to_owned())),
        Err(error) => return (expected, 0, Some(format!("is unreadable: {error}"))),
    };
    let fault = match (expected.bytes, expected.digest) {
        // The size is compared first, because it explains the damage better than two digests.
        (Some(written), _) if written != bytes => Some(format!("has {bytes} bytes, {written} were written")),
        (_, Some(written)) if written.is_supported() && *written != digest => {
            Some(format!("has the digest {digest}, {written} was written"))
        }
        _ => None,
    };
    (expected, bytes, fault)
}

fn files_of(manifest: &Manifest) -> Result<Vec<Expected<'_>>> {
    let mut expected = Vec::new();
    for table in &manifest.tables {
        let part = Part::Table { name: &table.name, rows: table.rows() };
        for file in &table.files {
            expected.push(of_file(file, part)?);
        }
    }
    for (name, source) in &manifest.sources {
        for file in &source.staging {
            let part = Part::Staging { source: name, rows: file.written.rows, added_in: file.added_in };
            expected.push(of_file(file, part)?);
        }
        for file in &source.quarantine {
            expected.push(of_file(file, Part::Quarantine { rows: file.written.rows })?);
        }
        for file in &source.ledger {
            let part = Part::Ledger { source: name, objects: file.objects };
            let (bytes, digest) = (Some(file.bytes), file.digest.as_ref());
            expected.push(Expected { key: parse_key(&file.path)?, bytes, digest, part });
        }
    }
    Ok(expected)
}

fn of_file<'a>(file: &'a DataFile, part: Part<'a>) -> Result<Expected<'a>> {
    let written = &file.written;
    let (bytes, digest) = (Some(written.bytes), written.digest.as_ref());
    Ok(Expected { key: parse_key(&written.path)?, bytes, digest, part })
}

fn entry(entry: &PublishedEntry) -> Expected<'_> {
    let part = Part::DeltaEntry { table: &entry.table };
    // Consistent documents contain the digest of an entry, but not its size.
    Expected { key: entry.key.clone(), bytes: None, digest: Some(&entry.digest), part }
}

fn document_fault(document: DamagedDocument) -> Fault {
    let restore = "restore it from a copy of the lake, or delete it; readers that pin the Delta versions of that version of \
                   the lake need it, and the next commit writes `latest` again";
    Fault { key: document.key, what: format!("is damaged: {}", document.what), restore: restore.to_owned() }
}

/// Describes how to restore an object, and what is lost if it cannot be restored.
async fn restore(lake: &Storage, part: Part<'_>) -> String {
    match part {
        Part::Table { name, rows } => {
            format!(
                "`coordinator run --rebuild {name}` builds the table ({rows} rows) from staging again, and the tables that read it"
            )
        }
        Part::Staging { source, rows, added_in } => {
            // The counts of that commit are in its own manifest, which may have been deleted.
            let commit = manifest_store::get(lake, added_in).await.ok().flatten();
            let counts = commit.and_then(|commit| commit.counts.get(source).cloned()).unwrap_or_default();
            format!(
                "{FROM_A_COPY}; without one, ingest source `{source}` into a new lake: the file has {rows} of the {} records that \
                 version {added_in} took from {} objects ({} bytes), which `system.ledger` names",
                counts.staged, counts.objects, counts.bytes
            )
        }
        Part::Quarantine { rows } => {
            format!("{FROM_A_COPY}; without one, the texts of {rows} rejected records are lost, and no table changes")
        }
        Part::Ledger { source, objects } => {
            format!(
                "{FROM_A_COPY}; without one, ingest source `{source}` into a new lake: the file says which {objects} objects are in this one"
            )
        }
        Part::DeltaEntry { table } => {
            format!(
                "{FROM_A_COPY}; without one, {}; no data is lost, and `coordinator query` does not need the entry",
                publish::repair(lake, table).await
            )
        }
    }
}

/// Compares the totals of each source in the manifest with the sums over the files of the source.
fn sums(manifest: &Manifest) -> Vec<Fault> {
    let rows = |files: &[DataFile]| files.iter().map(|file| file.written.rows).sum::<u64>();
    let faults = manifest.sources.iter().filter_map(|(name, source)| {
        let (staged, quarantined) = (rows(&source.staging), rows(&source.quarantine));
        let totals = (source.totals.staged, source.totals.quarantined);
        (totals != (staged, quarantined)).then(|| Fault {
            key: LakePath::Manifest(manifest.version).key().to_string(),
            what: format!(
                "names files of source `{name}` with {staged} staged and {quarantined} rejected records, and says that there are {} \
                 and {}",
                totals.0, totals.1
            ),
            restore: "please report it: a run does not commit sums that are off".to_owned(),
        })
    });
    faults.collect()
}
