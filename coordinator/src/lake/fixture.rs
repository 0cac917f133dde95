//! Test fixtures: a lake in its own folder, manifests with made-up files, and a store that loses
//! its responses.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use arrow::datatypes::{DataType, Field, Schema};
use async_trait::async_trait;
use bytes::Bytes;
use chrono::{TimeZone, Utc};
use futures::stream::BoxStream;
use lakewright_common::config::resolved::Location;
use lakewright_common::report::{ColumnStatistics, WrittenFile};
use lakewright_common::storage::Storage;
use lakewright_common::storage::s3::requests::RequestCounts;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use tempfile::TempDir;
use url::Url;
use uuid::Uuid;

use super::column::assign_column_ids;
use super::manifest::{DataFile, FORMAT, Manifest, TableState, parse_key};

/// Id of the lake in every manifest of these fixtures.
pub(crate) const LAKE_ID: Uuid = Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001);

/// Creates a lake in a folder that is deleted with the `TempDir`. The folder's name contains
/// spaces, which are percent-encoded in the lake's URL.
pub(crate) fn lake() -> (TempDir, Storage) {
    lake_below("my lake ")
}

/// Creates a lake in a folder with a name that starts with `prefix`.
pub(crate) fn lake_below(prefix: &str) -> (TempDir, Storage) {
    let folder = tempfile::Builder::new().prefix(prefix).tempdir().unwrap();
    let store = LocalFileSystem::new_with_prefix(folder.path()).unwrap();
    let root = Url::from_directory_path(folder.path()).unwrap();
    (folder, Storage::new(Arc::new(store), Location::of(root)))
}

/// Creates a lake on `store`.
pub(crate) fn lake_on(store: Arc<dyn ObjectStore>) -> Storage {
    Storage::new(store, Location::of(Url::parse("memory:///").unwrap()))
}

/// Creates the manifest of `version`. Each item of `tables` is the name of a table and the paths of
/// its files below the table's folder. All files are new in this version.
pub(crate) fn manifest(version: u64, tables: &[(&str, &[&str])]) -> Manifest {
    Manifest {
        format: FORMAT,
        version,
        parent: (version > 1).then(|| version - 1),
        run: Uuid::now_v7(),
        lake_id: Some(LAKE_ID),
        committed_at: Utc.timestamp_millis_opt(1_700_000_000_000 + i64::try_from(version).unwrap()).unwrap(),
        engine: "lakewright 0.1.0".into(),
        elapsed_milliseconds: 5,
        steps: vec![],
        requests: RequestCounts::default(),
        sources: BTreeMap::new(),
        tables: tables.iter().map(|(name, files)| table(version, name, files)).collect(),
        counts: BTreeMap::new(),
    }
}

/// Creates the manifest after `previous`. It replaces or adds `tables`, and keeps all other tables
/// of `previous`.
pub(crate) fn next(previous: &Manifest, tables: &[(&str, &[&str])]) -> Manifest {
    let mut next = manifest(previous.version + 1, &[]);
    next.tables = previous.tables.clone();
    for (name, files) in tables {
        let state = table(next.version, name, files);
        match next.tables.iter_mut().find(|table| table.name == *name) {
            Some(table) => *table = state,
            None => next.tables.push(state),
        }
    }
    next
}

fn table(version: u64, name: &str, files: &[&str]) -> TableState {
    let schema = Schema::new(vec![Field::new("title", DataType::Utf8, true), Field::new("year", DataType::Utf8, true)]);
    TableState {
        name: name.into(),
        columns: assign_column_ids(None, &schema).unwrap(),
        partition_by: vec!["year".into()],
        key: vec!["title".into()],
        fingerprint: String::new(),
        changed_in: version,
        files: files.iter().map(|path| file(version, name, path)).collect(),
    }
}

/// Creates a file's entry in a manifest. Takes the partition value from the directory in `path`.
fn file(version: u64, table: &str, path: &str) -> DataFile {
    let directory = path.split_once('/').and_then(|(directory, _)| directory.strip_prefix("year="));
    let value = directory.map(|value| value.replace("%3D", "=").replace("%20", " ").replace("%25", "%"));
    let statistics =
        ColumnStatistics { column: "title".into(), null_count: 0, min: Some("a".into()), max: Some("z".into()) };
    let written = WrittenFile {
        path: format!("{table}/{path}"),
        partition_values: BTreeMap::from([("year".into(), value)]),
        rows: 10,
        bytes: 4,
        digest: None,
        statistics: vec![statistics],
    };
    DataFile::new(written, version)
}

/// Writes every new file of a manifest.
pub(crate) async fn write_files(lake: &Storage, manifest: &Manifest) {
    for table in &manifest.tables {
        for file in table.files.iter().filter(|file| file.added_in == manifest.version) {
            lake.store.put(&parse_key(&file.written.path).unwrap(), "PAR1".into()).await.unwrap();
        }
    }
}

/// In-memory store whose puts fail a given number of times: some have no effect, others take effect
/// but return an error, as if the connection was lost before the response.
#[derive(Debug)]
pub(crate) struct ForgetfulStore {
    inner: InMemory,
    /// Remaining number of puts that take effect but return an error.
    pub(crate) lost_answers: AtomicU32,
    /// Remaining number of puts that fail without effect.
    pub(crate) refused_puts: AtomicU32,
}

impl ForgetfulStore {
    pub(crate) fn new(lost_answers: u32, refused_puts: u32) -> Arc<Self> {
        Arc::new(Self {
            inner: InMemory::new(),
            lost_answers: AtomicU32::new(lost_answers),
            refused_puts: AtomicU32::new(refused_puts),
        })
    }

    fn fault() -> object_store::Error {
        object_store::Error::Generic { store: "forgetful", source: "connection reset".into() }
    }
}

fn take_one(counter: &AtomicU32) -> bool {
    counter.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
}

impl std::fmt::Display for ForgetfulStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("forgetful")
    }
}

#[async_trait]
impl ObjectStore for ForgetfulStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        if take_one(&self.refused_puts) {
            return Err(Self::fault());
        }
        let result = self.inner.put_opts(location, payload, opts).await?;
        if take_one(&self.lost_answers) { Err(Self::fault()) } else { Ok(result) }
    }

    async fn put_multipart_opts(&self, location: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, opts).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.inner.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
