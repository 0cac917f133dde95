//! The manifest: one JSON document per commit, the complete state of the lake at that commit.
//!
//! Built by a run from the manifest before it, put by `store`, read by queries and by the
//! roll-forward of the Delta logs. What a commit took in, object by object, lies in Parquet beside it (the ledger).
//!
//! A state that did not change is carried over as it is, `added_in` and `changed_in` included: these two versions are
//! how a later reader sees what a commit did without comparing it to another.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use lakewright_common::digest::Digest;
use lakewright_common::error::{Context, Error, Result};
use lakewright_common::report::WrittenFile;
use lakewright_common::storage::s3::requests::RequestCounts;
use object_store::path::Path;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::column::Columns;
use super::{LakePath, seal};

/// The version of the document; a reader refuses a higher one.
pub(crate) const FORMAT: u32 = 1;

/// One version of the lake.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    pub(crate) format: u32,
    /// 1 for the first; the version in the object's name.
    pub(crate) version: u64,
    /// The manifest that this one was built on, `version - 1`; `None` for the first.
    pub(crate) parent: Option<u64>,
    /// Whose commit it is.
    pub(crate) run: Uuid,
    /// Identifies the lake: chosen at its first commit, then the same in every manifest and in the configuration of
    /// every Delta table. `None` in a manifest that was written before there were ids.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) lake_id: Option<Uuid>,
    /// As the coordinator's clock had it just before the put.
    pub(crate) committed_at: DateTime<Utc>,
    /// Program and version, `lakewright 0.1.0`.
    pub(crate) engine: String,
    /// From the start of the run to the commit.
    pub(crate) elapsed_milliseconds: u64,
    pub(crate) sources: BTreeMap<String, SourceState>,
    /// In the order of `lake.toml`; the Delta logs are rolled forward in this order, dimensions before facts.
    pub(crate) tables: Vec<TableState>,
    /// What this commit alone took in, per source.
    pub(crate) counts: BTreeMap<String, SourceCounts>,
    /// What the run had requests of buckets when it came to this commit.
    #[serde(default, skip_serializing_if = "RequestCounts::is_empty")]
    pub(crate) requests: RequestCounts,
}

/// All that was ever taken in of one source.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct SourceState {
    /// Of the declared schema.
    pub(crate) fingerprint: String,
    pub(crate) columns: Columns,
    pub(crate) staging: Vec<DataFile>,
    pub(crate) quarantine: Vec<DataFile>,
    pub(crate) ledger: Vec<LedgerFile>,
    pub(crate) totals: SourceCounts,
}

/// One table, whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct TableState {
    pub(crate) name: String,
    pub(crate) columns: Columns,
    pub(crate) partition_by: Vec<String>,
    pub(crate) key: Vec<String>,
    /// Of everything that decides the table's content besides its input's rows.
    pub(crate) fingerprint: String,
    /// The manifest that last changed anything here: the version of the table's `txn` in its Delta log.
    pub(crate) changed_in: u64,
    pub(crate) files: Vec<DataFile>,
}

/// One Parquet file that belongs to the lake.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct DataFile {
    #[serde(flatten)]
    pub(crate) written: WrittenFile,
    /// The manifest that first named it.
    pub(crate) added_in: u64,
}

/// One Parquet file of ledger entries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LedgerFile {
    /// Relative to the lake's root.
    pub(crate) path: String,
    /// Entries in it.
    pub(crate) objects: u64,
    /// Of the file.
    pub(crate) bytes: u64,
    /// Of the file; `None` if an older version wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) digest: Option<Digest>,
    /// The manifest that first named it; entries of older ones may have been folded into it.
    pub(crate) added_in: u64,
}

/// What a scan of a source came to; `records = staged + quarantined`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SourceCounts {
    pub(crate) objects: u64,
    /// Of the objects on storage.
    pub(crate) bytes: u64,
    pub(crate) records: u64,
    pub(crate) staged: u64,
    pub(crate) quarantined: u64,
    /// Values under an undeclared key, per key.
    pub(crate) unknown_fields: BTreeMap<String, u64>,
}

impl Manifest {
    pub(crate) fn table(&self, name: &str) -> Option<&TableState> {
        self.tables.iter().find(|table| table.name == name)
    }

    /// The object's content, which ends with its digest.
    pub(crate) fn encode(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self)
            .map(seal::seal)
            .context(|| Error::internal(format!("manifest {} makes no JSON", self.version)))
    }

    /// The manifest in `bytes`, which must be the one of that `version`.
    ///
    /// # Errors
    /// Configuration, when a newer version of the program wrote it; storage, when it is damaged or another manifest.
    pub(crate) fn decode(version: u64, bytes: &[u8]) -> Result<Self> {
        let damaged = |e: Box<dyn std::error::Error + Send + Sync>| {
            Error::storage_failure(format!("manifest {version} (`{}`) is damaged", LakePath::Manifest(version).key()))
                .caused_by(e)
                .hint("restore the file from a copy of the lake; nothing else names what it named")
        };
        let parsed = |e: serde_json::Error| damaged(e.into());
        seal::verify(bytes).map_err(|e| damaged(e.into()))?;
        // Format and version first: all else may look different in another format.
        let head: Head = serde_json::from_slice(bytes).map_err(parsed)?;
        if head.format > FORMAT {
            return Err(Error::configuration(format!(
                "manifest {version} has format {}, this version reads formats up to {FORMAT}",
                head.format
            ))
            .hint(format!("it was written by `{}`; use that version or a later one", head.engine)));
        }
        if head.version != version {
            return Err(Error::storage_failure(format!(
                "manifest {version} (`{}`) is a copy of manifest {}",
                LakePath::Manifest(version).key(),
                head.version
            ))
            .hint("restore the file from a copy of the lake, or delete it if it should not exist"));
        }
        serde_json::from_slice(bytes).map_err(parsed)
    }

    /// Keys of all objects that this manifest names first: they must be durable before it is.
    pub(crate) fn new_keys(&self) -> Result<Vec<Path>> {
        let sources = self.sources.values();
        let data = sources
            .clone()
            .flat_map(|source| source.staging.iter().chain(&source.quarantine))
            .chain(self.tables.iter().flat_map(|table| &table.files))
            .map(|file| (file.added_in, file.written.path.as_str()));
        let ledgers = sources.flat_map(|source| &source.ledger).map(|file| (file.added_in, file.path.as_str()));
        data.chain(ledgers).filter(|(added_in, _)| *added_in == self.version).map(|(_, path)| parse_key(path)).collect()
    }
}

/// What every format of the document has.
#[derive(Deserialize)]
struct Head {
    format: u32,
    version: u64,
    #[serde(default)]
    engine: String,
}

/// Whose commit the manifest in `bytes` is, whatever its format.
pub(crate) fn run_of(bytes: &[u8]) -> std::result::Result<Uuid, Box<dyn std::error::Error + Send + Sync>> {
    #[derive(Deserialize)]
    struct Run {
        run: Uuid,
    }
    seal::verify(bytes)?;
    Ok(serde_json::from_slice::<Run>(bytes)?.run)
}

/// An object's exact key as a path; `Path::from` would percent-encode what is encoded already.
pub(crate) fn parse_key(key: &str) -> Result<Path> {
    Path::parse(key).context(|| Error::internal(format!("`{key}` is no key")))
}

impl TableState {
    pub(crate) fn rows(&self) -> u64 {
        self.files.iter().map(|file| file.written.rows).sum()
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.written.bytes).sum()
    }
}

impl DataFile {
    /// What a run wrote, as the manifest of `version` names it first.
    pub(crate) fn new(written: WrittenFile, version: u64) -> Self {
        Self { written, added_in: version }
    }
}

impl SourceCounts {
    /// Adds what a later commit took in.
    pub(crate) fn add(&mut self, other: &Self) {
        self.objects += other.objects;
        self.bytes += other.bytes;
        self.records += other.records;
        self.staged += other.staged;
        self.quarantined += other.quarantined;
        for (name, count) in &other.unknown_fields {
            *self.unknown_fields.entry(name.clone()).or_default() += count;
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
mod tests {
    use super::super::fixture;
    use super::*;

    #[test]
    fn a_manifest_comes_back_from_its_bytes() {
        let mut manifest = fixture::manifest(3, &[("songs", &["year=a%2520b/x"])]);
        let unknown_fields = BTreeMap::from([("colour".to_owned(), 2)]);
        let totals = SourceCounts { objects: 1, records: 3, staged: 3, unknown_fields, ..SourceCounts::default() };
        let ledger =
            vec![LedgerFile { path: "_lake/ledger/events/x".into(), objects: 1, bytes: 10, digest: None, added_in: 3 }];
        let staging = manifest.tables[0].files.clone();
        let source = SourceState { ledger, staging, totals: totals.clone(), ..SourceState::default() };
        manifest.sources.insert("events".into(), source);
        manifest.counts.insert("events".into(), totals);
        let bytes = manifest.encode().unwrap();
        assert_eq!(Manifest::decode(3, &bytes).unwrap(), manifest);
        assert_eq!(run_of(&bytes).unwrap(), manifest.run);
    }

    #[test]
    fn a_newer_format_is_named_and_a_wrong_number_refused() {
        let mut manifest = fixture::manifest(3, &[]);
        assert!(Manifest::decode(4, &manifest.encode().unwrap()).is_err());
        manifest.format = FORMAT + 1;
        manifest.engine = "lakewright 9.0.0".into();
        let error = Manifest::decode(3, &manifest.encode().unwrap()).unwrap_err();
        assert!(error.message.contains("format 2"), "{error}");
        assert!(error.hint.unwrap().contains("lakewright 9.0.0"));
    }

    /// Any bit, also of the seal itself; and without a seal, as older versions wrote it, it is read.
    #[test]
    fn a_changed_bit_in_a_manifest_is_noticed() {
        let manifest = fixture::manifest(3, &[("songs", &["year=2000/x"])]);
        let bytes = manifest.encode().unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let error = Manifest::decode(3, &changed).unwrap_err();
            assert_eq!(error.kind, lakewright_common::error::Kind::Storage, "bit {bit}: {error}");
            assert!(error.message.contains("_lake/manifest/00000000000000000003.json"), "{error}");
            assert!(run_of(&changed).is_err(), "bit {bit}");
        }
        assert_eq!(Manifest::decode(3, &serde_json::to_vec(&manifest).unwrap()).unwrap(), manifest);
    }

    #[test]
    fn only_what_is_new_needs_to_be_synced() {
        let mut manifest = fixture::manifest(3, &[("songs", &["year=a%2520b/x", "y"])]);
        manifest.tables[0].files[1].added_in = 2;
        let keys: Vec<_> = manifest.new_keys().unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(keys, ["songs/year=a%2520b/x"]);
    }
}
