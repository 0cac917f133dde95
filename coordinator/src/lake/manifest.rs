//! The manifest: one JSON document per commit, the complete state of the lake at that commit.
//!
//! A run builds a manifest from the previous one, and `manifest_store` puts it on storage. Queries
//! read manifests, and Delta logs are rolled forward from them. The objects that a commit ingested
//! are listed in the ledger, in Parquet files of their own.
//!
//! The entries of unchanged tables and files are copied from the previous manifest, with
//! `changed_in` (the version in which the table last changed) and `added_in` (the version that
//! added the file). So one manifest shows what its commit changed, without a comparison with the
//! previous manifest.

use std::collections::{BTreeMap, BTreeSet};

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

/// Version of the document format. A reader refuses a higher version.
pub(crate) const FORMAT: u32 = 1;

/// One version of the lake.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    pub(crate) format: u32,
    /// Version of the lake, which is also in the manifest's key. The first version is 1.
    #[serde(alias = "number")]
    pub(crate) version: u64,
    /// Version of the manifest that this one was built on, `version - 1`; `None` for the first.
    pub(crate) parent: Option<u64>,
    /// Run that committed the manifest.
    pub(crate) run: Uuid,
    /// Id of the lake, chosen at its first commit. It is the same in every manifest and in the
    /// configuration of every Delta table. `None` if a program version without lake ids wrote the
    /// manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) lake_id: Option<Uuid>,
    /// Time by the coordinator's clock, shortly before the manifest was put.
    pub(crate) committed_at: DateTime<Utc>,
    /// Program that wrote the manifest, with its version: `lakewright 0.1.0`.
    pub(crate) engine: String,
    /// Time from the start of the run to the commit.
    pub(crate) elapsed_milliseconds: u64,
    pub(crate) sources: BTreeMap<String, SourceState>,
    /// Tables in the order in which a run builds them, dimensions before facts. The Delta logs are
    /// rolled forward in the same order.
    pub(crate) tables: Vec<TableState>,
    /// Counts of this commit only, by source.
    pub(crate) counts: BTreeMap<String, SourceCounts>,
    /// Numbers of requests that the run sent to buckets before this commit.
    #[serde(default, skip_serializing_if = "RequestCounts::is_empty")]
    pub(crate) requests: RequestCounts,
    /// Steps of the run that ended before this commit; empty if an older program version wrote the
    /// manifest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) steps: Vec<StepRecord>,
}

/// A step of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StepRecord {
    pub(crate) name: String,
    /// Time from the start of the run to that of the step.
    pub(crate) started_milliseconds: u64,
    pub(crate) elapsed_milliseconds: u64,
    /// Objects that the step read, and their records and stored bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) read: Option<StepRead>,
}

/// What a step read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StepRead {
    pub(crate) objects: u64,
    pub(crate) bytes: u64,
    pub(crate) records: u64,
}

/// Everything that was ever ingested from one source.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct SourceState {
    /// Digest that changes with the declared fields of the source.
    pub(crate) fingerprint: String,
    pub(crate) columns: Columns,
    pub(crate) staging: Vec<DataFile>,
    pub(crate) quarantine: Vec<DataFile>,
    pub(crate) ledger: Vec<LedgerFile>,
    pub(crate) totals: SourceCounts,
}

/// Complete state of one table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct TableState {
    pub(crate) name: String,
    pub(crate) columns: Columns,
    pub(crate) partition_by: Vec<String>,
    pub(crate) key: Vec<String>,
    /// Digest that changes with the query, the key, the partition columns, the data checks, and
    /// what the query reads: the declared fields of sources, and the fingerprints of tables. If the
    /// digest changes, the next run builds the table again.
    pub(crate) fingerprint: String,
    /// Version of the last manifest that changed the table's state. The Delta log repeats this
    /// number as the version of a `txn` action.
    pub(crate) changed_in: u64,
    pub(crate) files: Vec<DataFile>,
}

/// One Parquet file that belongs to the lake.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct DataFile {
    #[serde(flatten)]
    pub(crate) written: WrittenFile,
    /// Version of the first manifest that named the file.
    pub(crate) added_in: u64,
}

/// One Parquet file of ledger entries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LedgerFile {
    /// Path relative to the lake's root.
    pub(crate) path: String,
    /// Number of entries in the file.
    pub(crate) objects: u64,
    /// Size of the file.
    pub(crate) bytes: u64,
    /// Digest of the file; `None` if an older program version wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) digest: Option<Digest>,
    /// Version of the first manifest that named the file. A merged file also has the entries of
    /// older files.
    pub(crate) added_in: u64,
}

/// Counts of one source, for one commit or for all commits together; `records = staged +
/// quarantined`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SourceCounts {
    pub(crate) objects: u64,
    /// Total size of the objects on storage. For a compressed object, this is the compressed size.
    pub(crate) bytes: u64,
    pub(crate) records: u64,
    pub(crate) staged: u64,
    pub(crate) quarantined: u64,
    /// Number of staged records that were decoded without a parser, because they have the shape of
    /// an earlier record. The number depends on how the input was distributed over tasks.
    #[serde(default)]
    pub(crate) templated: u64,
    /// Number of values of each undeclared field.
    pub(crate) unknown_fields: BTreeMap<String, u64>,
    /// Number of invalid values of each declared field that became null.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) nulled_values: BTreeMap<String, u64>,
    /// Number of records that were null and skipped.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) null_records: u64,
    /// Declared fields that are null in all staged records.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) empty_fields: BTreeSet<String>,
}

/// Adds to the count of a field. A malicious worker may have reported any count.
fn add_count(counts: &mut BTreeMap<String, u64>, name: &str, count: u64) {
    let total = counts.entry(name.to_owned()).or_default();
    *total = total.saturating_add(count);
}

/// Whether a count is zero, so that it is not stored.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Manifest {
    pub(crate) fn table(&self, name: &str) -> Option<&TableState> {
        self.tables.iter().find(|table| table.name == name)
    }

    /// Encodes the manifest as a JSON document that ends with its own digest.
    pub(crate) fn encode(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self)
            .map(seal::seal)
            .context(|| Error::internal(format!("manifest {} makes no JSON", self.version)))
    }

    /// Decodes `bytes`, which must be the manifest of `version`.
    ///
    /// # Errors
    /// A configuration error if a newer program version wrote the manifest. A storage error if the
    /// manifest is damaged or has another version.
    pub(crate) fn decode(version: u64, bytes: &[u8]) -> Result<Self> {
        let damaged = || {
            Error::storage_failure(format!("manifest {version} (`{}`) is damaged", LakePath::Manifest(version).key()))
                .hint("restore the file from a copy of the lake; only this file names the files of its version")
        };
        // Verify the digest first, because a changed bit may leave valid JSON with a wrong number
        // in it.
        seal::verify(bytes).context(damaged)?;
        // Check format and version before decoding the other members, because these may differ in
        // another format.
        let head: Head = serde_json::from_slice(bytes).context(damaged)?;
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
        serde_json::from_slice(bytes).context(damaged)
    }

    /// Returns the keys of all objects that this manifest is the first to name. They must be
    /// durable before the manifest is put.
    pub(crate) fn new_keys(&self) -> Result<Vec<Path>> {
        let sources = self.sources.values();
        let data = sources
            .clone()
            .flat_map(|source| source.staging.iter().chain(&source.quarantine))
            .chain(self.tables.iter().flat_map(|table| &table.files))
            .map(|file| (file.added_in, file.written.path.as_str()));
        let ledgers = sources.flat_map(|source| &source.ledger).map(|file| (file.added_in, file.path.as_str()));
        // Older objects were made durable by the commit that added them.
        data.chain(ledgers).filter(|(added_in, _)| *added_in == self.version).map(|(_, path)| parse_key(path)).collect()
    }
}

/// Members that every format of the document has.
#[derive(Deserialize)]
struct Head {
    format: u32,
    #[serde(alias = "number")]
    version: u64,
    #[serde(default)]
    engine: String,
}

/// Returns the run that committed the manifest in `bytes`. The manifest may have a newer format
/// than this program can decode.
pub(crate) fn run_of(bytes: &[u8]) -> std::result::Result<Uuid, Box<dyn std::error::Error + Send + Sync>> {
    #[derive(Deserialize)]
    struct Run {
        run: Uuid,
    }
    // The run in a damaged manifest may be wrong.
    seal::verify(bytes)?;
    Ok(serde_json::from_slice::<Run>(bytes)?.run)
}

/// Parses a key that is already percent-encoded. `Path::from` would encode it a second time.
pub(crate) fn parse_key(key: &str) -> Result<Path> {
    Path::parse(key).context(|| Error::internal(format!("`{key}` is not a valid key")))
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
    /// Creates the manifest entry of a written file. `version` is that of the first manifest that
    /// names the file.
    pub(crate) fn new(written: WrittenFile, version: u64) -> Self {
        Self { written, added_in: version }
    }
}

impl SourceCounts {
    /// Adds the counts of a later commit.
    pub(crate) fn add(&mut self, other: &Self) {
        match (self.staged, other.staged) {
            (_, 0) => {}
            (0, _) => self.empty_fields.clone_from(&other.empty_fields),
            _ => self.empty_fields.retain(|field| other.empty_fields.contains(field)),
        }
        self.objects += other.objects;
        self.bytes += other.bytes;
        self.records += other.records;
        self.staged += other.staged;
        self.quarantined += other.quarantined;
        self.templated += other.templated;
        for (name, count) in &other.unknown_fields {
            add_count(&mut self.unknown_fields, name, *count);
        }
        for (name, count) in &other.nulled_values {
            add_count(&mut self.nulled_values, name, *count);
        }
        self.null_records = self.null_records.saturating_add(other.null_records);
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;

    #[test]
    fn a_field_is_empty_if_it_is_empty_in_every_commit_with_records() {
        let counts = |staged, empty: &[&str]| SourceCounts {
            staged,
            empty_fields: empty.iter().map(|name| (*name).to_owned()).collect(),
            ..SourceCounts::default()
        };
        let mut total = SourceCounts::default();
        for (commit, expected) in [
            (counts(0, &["a", "b", "c"]), &[][..]),
            (counts(5, &["a", "b"]), &["a", "b"]),
            (counts(0, &[]), &["a", "b"]),
            (counts(1, &["b", "c"]), &["b"]),
        ] {
            total.add(&commit);
            assert_eq!(total.empty_fields.iter().collect::<Vec<_>>(), expected);
        }
    }

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

    /// Flips each bit, including those of the seal (the digest at the end). A manifest without a
    /// seal is accepted, because older program versions wrote none.
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
