//! Whether everything that a version needs is as it was written: each file against the digest in its manifest, each entry of
//! a Delta log against the digest that was published with it.
//!
//! Reads every byte once, in bounded memory. A file that cannot be read is a fault like any other, so that one bad sector does
//! not hide the next.

use std::collections::BTreeSet;

use futures::{StreamExt, TryStreamExt, stream};
use lakewright_common::digest::Digest;
use lakewright_common::error::Result;
use lakewright_common::storage::Storage;
use object_store::path::Path;

use super::manifest::{DataFile, Manifest, parse_key};
use super::publish::consistent::{self, Consistent, Stored};
use super::{LakePath, store};

/// Objects that are read at once.
const CONCURRENT_READS: usize = 16;
const FROM_A_COPY: &str = "restore it from a copy of the lake";

/// What was verified.
#[derive(Debug, Default)]
pub(crate) struct Verified {
    pub(crate) objects: u64,
    pub(crate) bytes: u64,
    /// Objects of an older version of the program, which wrote no digests: only their sizes were compared.
    pub(crate) without_digest: u64,
    /// In the order of their keys.
    pub(crate) faults: Vec<Fault>,
}

/// An object that is not as it was written.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) key: String,
    pub(crate) what: String,
    /// What restores it, and at what cost.
    pub(crate) restore: String,
}

/// An object, and what is known of it.
struct Expected<'a> {
    key: Path,
    bytes: Option<u64>,
    digest: Option<&'a Digest>,
    part: Part<'a>,
}

/// What an object is for.
#[derive(Clone, Copy)]
enum Part<'a> {
    Table { name: &'a str, rows: u64 },
    Staging { source: &'a str, rows: u64, added_in: u64 },
    Quarantine { rows: u64 },
    Ledger { source: &'a str, objects: u64 },
    DeltaEntry { table: &'a str },
}

/// Verifies all that `manifest` names, the Delta logs of its tables, and the documents that name their versions.
///
/// # Errors
/// Storage that fails for another reason than one file.
pub(crate) async fn verify(lake: &Storage, manifest: &Manifest) -> Result<Verified> {
    let mut verified = Verified::default();
    let documents = documents(lake, manifest.version, &mut verified).await?;
    let mut expected = files_of(manifest)?;
    expected.extend(entries_of(manifest, &documents));
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

/// The object with the bytes that were read of it, and what is wrong with it.
async fn look<'a>(lake: &Storage, expected: Expected<'a>) -> (Expected<'a>, u64, Option<String>) {
    let (bytes, digest) = match lake.digest_of(&expected.key).await {
        Ok(Some(found)) => found,
        Ok(None) => return (expected, 0, Some("is missing".to_owned())),
        Err(error) => return (expected, 0, Some(format!("is unreadable: {error}"))),
    };
    let fault = match (expected.bytes, expected.digest) {
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

/// The entries of the tables' Delta logs that a version was published with; one entry belongs to many versions.
fn entries_of<'a>(manifest: &'a Manifest, documents: &'a [Consistent]) -> Vec<Expected<'a>> {
    let mut seen = BTreeSet::new();
    let mut expected = Vec::new();
    // The newest first: a log may have been written anew since an older one.
    for document in documents.iter().rev() {
        for (table, at) in &document.tables {
            let is_there = manifest.table(table).is_some();
            if let (Some(digest), true, true) = (&at.digest, is_there, seen.insert((table, at.version))) {
                let key = LakePath::DeltaCommit { table, version: at.version }.key();
                expected.push(Expected { key, bytes: None, digest: Some(digest), part: Part::DeltaEntry { table } });
            }
        }
    }
    expected
}

/// The documents of the versions up to `version` that are whole. A version that was never published has none.
async fn documents(lake: &Storage, version: u64, verified: &mut Verified) -> Result<Vec<Consistent>> {
    let keys =
        (1..=version).map(|version| LakePath::Consistent(version).key()).chain([LakePath::ConsistentLatest.key()]);
    let mut stored = stream::iter(keys)
        .map(|key| async move { consistent::stored(lake, &key).await.map(|document| (key, document)) })
        .buffered(CONCURRENT_READS);
    let mut documents = Vec::new();
    while let Some((key, document)) = stored.try_next().await? {
        match document {
            Stored::Missing => {}
            Stored::Whole(document) => {
                verified.objects += 1;
                documents.push(document);
            }
            Stored::Damaged(what) => {
                verified.objects += 1;
                let restore = "restore it from a copy of the lake, or delete it; readers that pin the Delta versions of that \
                               version of the lake need it, and the next commit writes `latest` again";
                let (key, what) = (key.to_string(), format!("is damaged: {what}"));
                verified.faults.push(Fault { key, what, restore: restore.to_owned() });
            }
        }
    }
    Ok(documents)
}

async fn restore(lake: &Storage, part: Part<'_>) -> String {
    match part {
        Part::Table { name, rows } => {
            format!(
                "`coordinator run --rebuild {name}` builds the table ({rows} rows) from staging again, and the tables that read it"
            )
        }
        Part::Staging { source, rows, added_in } => {
            // What that commit ingested is in its own manifest, as far as that is still there.
            let commit = store::get(lake, added_in).await.ok().flatten();
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
                "{FROM_A_COPY}; without one, `coordinator publish --table {table} --overwrite` has the log repeat the manifest, as long as \
                 the entry can be parsed; no data is lost, and `coordinator query` does not need it"
            )
        }
    }
}

/// What the manifest says of a source as a whole must be what it says of its files.
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
