//! The consistent documents up to one version of the lake, and the Delta log entries that they
//! name, for `check --deep`.

use std::collections::BTreeSet;

use futures::{StreamExt, TryStreamExt, stream};
use lakewright_common::digest::Digest;
use lakewright_common::error::Result;
use lakewright_common::storage::Storage;
use object_store::path::Path;

use super::consistent::{self, Consistent, Stored};
use crate::lake::LakePath;
use crate::lake::manifest::Manifest;

/// Maximum number of documents that are read at the same time.
const CONCURRENT_READS: usize = 16;

/// The consistent documents of all versions of the lake up to a given one.
#[derive(Debug, Default)]
pub(crate) struct Documents {
    /// Number of undamaged documents.
    pub(crate) whole: u64,
    pub(crate) damaged: Vec<DamagedDocument>,
    /// Delta log entries that the documents name, without duplicates.
    pub(crate) entries: Vec<PublishedEntry>,
}

/// A document that cannot be read.
#[derive(Debug)]
pub(crate) struct DamagedDocument {
    pub(crate) key: String,
    pub(crate) what: String,
}

/// An entry of a table's Delta log, with the digest that was published with it.
#[derive(Debug)]
pub(crate) struct PublishedEntry {
    pub(crate) table: String,
    pub(crate) key: Path,
    pub(crate) digest: Digest,
}

/// Reads the documents of the versions up to `manifest`. A version that was never published has no
/// document.
///
/// # Errors
/// A storage error.
pub(crate) async fn documents(lake: &Storage, manifest: &Manifest) -> Result<Documents> {
    let keys = (1..=manifest.version).map(|version| LakePath::Consistent(version).key());
    let mut stored = stream::iter(keys.chain([LakePath::ConsistentLatest.key()]))
        .map(|key| async move { consistent::stored(lake, &key).await.map(|document| (key, document)) })
        .buffered(CONCURRENT_READS);
    let mut documents = Documents::default();
    let mut whole = Vec::new();
    while let Some((key, document)) = stored.try_next().await? {
        match document {
            Stored::Missing => {}
            Stored::Whole(document) => whole.push(document),
            Stored::Damaged(what) => documents.damaged.push(DamagedDocument { key: key.to_string(), what }),
        }
    }
    documents.whole = whole.len() as u64;
    documents.entries = entries(manifest, &whole);
    Ok(documents)
}

/// Collects the log entries that `documents` name for the tables in `manifest`. Returns each entry
/// only once, although several documents may name it.
fn entries(manifest: &Manifest, documents: &[Consistent]) -> Vec<PublishedEntry> {
    let mut seen = BTreeSet::new();
    let mut entries = Vec::new();
    // Start with the newest document: if an entry was published again, the newest digest counts.
    for document in documents.iter().rev() {
        for (table, at) in &document.tables {
            let is_table = manifest.table(table).is_some();
            if let (Some(digest), true, true) = (&at.digest, is_table, seen.insert((table, at.version))) {
                let key = LakePath::DeltaCommit { table, version: at.version }.key();
                entries.push(PublishedEntry { table: table.clone(), key, digest: digest.clone() });
            }
        }
    }
    entries
}
