//! Opens a table's log with the Delta library, and converts errors of the library.

use std::sync::Arc;

use deltalake_core::logstore::{LogStoreRef, StorageConfig, default_logstore};
use lakewright_common::error::Error;
use lakewright_common::storage::Storage;
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use url::Url;

use crate::lake::{LakePath, url_of};

/// Opens a table's folder for the Delta library.
pub(super) fn log_store(lake: &Storage, table: &str) -> LogStoreRef {
    let folder = LakePath::Table(table).key();
    let below_table = Arc::new(PrefixStore::new(Arc::clone(&lake.store), folder.clone()));
    let mut url: Url = lake.root.clone();
    // The library uses the path of the table's URL as a key in `root_store`. For a `file` URL it
    // also checks on disk whether the path exists, so `root_store` must be the whole file system.
    // For any other URL, `root_store` is the lake's store, and the path starts at the lake's root
    // (`s3://bucket/songs/` for `s3://bucket/some/lake/songs/`). From the scheme and host, the
    // library knows whether listings are sorted.
    let root_store: Arc<dyn ObjectStore> = if url.scheme() != "file" {
        url.set_path(&format!("/{folder}/"));
        Arc::clone(&lake.store)
    } else if let Some(outside) = url_of_unsorted(&folder).filter(|_| lake.root.path().contains("%25")) {
        // The kernel's listing decodes the path of a `file` URL twice (buoyant_kernel_engine 0.28),
        // so it would look in `a b` for the content of `a%20b`. A URL whose path starts at the
        // lake's root does not contain this folder.
        url = outside;
        Arc::clone(&lake.store)
    } else {
        url.set_path(&format!("{}{folder}/", lake.root.path()));
        Arc::new(LocalFileSystem::new())
    };
    default_logstore(below_table, root_store, &url, &StorageConfig::default())
}

/// Builds the URL of an invented S3 directory bucket, to use for a lake on disk. Listings of such
/// buckets are unsorted, so the library sorts them itself. Listings of a folder on disk need this
/// too.
fn url_of_unsorted(folder: &Path) -> Option<Url> {
    Url::parse(&format!("s3://lake--x-s3/{folder}/")).ok()
}

/// Returns a function that converts an error of the library to a storage error of this program.
pub(super) fn failure<E: std::error::Error + Send + Sync + 'static>(
    operation: &'static str,
    lake: &Storage,
    table: &str,
) -> impl Fn(E) -> Error + use<E> {
    let log = url_of(lake, &LakePath::DeltaLog(table).key());
    move |e| {
        let text = e.to_string();
        // With RUST_BACKTRACE, the text of a kernel error ends with its backtrace, one line per
        // frame.
        match text.split_once("\n   0: ") {
            Some((text, _)) => Error::storage(operation, &log, text),
            None => Error::storage(operation, &log, e),
        }
    }
}
