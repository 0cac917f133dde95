//! Opens the storages of a configuration: the lake, the spool and every source.

use std::sync::Arc;

use datafusion::prelude::SessionContext;
use lakewright_common::config::resolved::Config;
use lakewright_common::error::Result;
use lakewright_common::session::memory::TaskScope;
use lakewright_common::session::progress::ReadProgress;
use lakewright_common::session::{self, Resources, Storages};
use lakewright_common::storage::{self, Storage};
use object_store::memory::InMemory;

/// Opens the storages for a command that writes. Creates the lake if it does not exist.
///
/// # Errors
/// A storage or configuration error that names the URL.
pub(crate) async fn open_or_create(config: &Config) -> Result<Storages> {
    let lake = storage::open_or_create(&config.location(&config.lake)).await?;
    let spool = match config.cluster.as_ref().and_then(|cluster| cluster.spool.as_ref()) {
        Some(url) => storage::open_or_create(&config.location(url)).await?,
        // If no storage is configured for the spool, it is a folder in the lake.
        None => lake.clone(),
    };
    Ok(Storages { lake, spool, sources: open_sources(config).await? })
}

/// Opens the storages for the dry run, which writes nothing. A lake that does not exist is empty.
///
/// # Errors
/// A storage or configuration error that names the URL.
pub(crate) async fn open_or_empty(config: &Config) -> Result<Storages> {
    let lake = lake_or_empty(config).await?;
    Ok(Storages { spool: lake.clone(), lake, sources: open_sources(config).await? })
}

/// Returns the storage of a source of the configuration.
#[expect(clippy::expect_used, reason = "`open_sources` opens every source")]
pub(crate) fn source<'a>(storages: &'a Storages, name: &str) -> &'a Storage {
    storages.source(name).expect("a configured source")
}

/// Creates a session in this process that reads `storages` within the configuration's limits.
///
/// # Errors
/// A storage error if the scratch folder cannot be used.
pub(crate) fn session(
    config: &Config,
    storages: &Storages,
    partitions: usize,
    progress: Arc<ReadProgress>,
) -> Result<SessionContext> {
    let limits = &config.limits;
    let resources = Resources::new(limits.memory_bytes, limits.threads, limits.scratch.as_deref())?;
    // This process numbers its tasks from 0, and they share all of its memory.
    session::build(&resources, storages, partitions, TaskScope::new(0, limits.memory_bytes, limits.threads), progress)
}

/// Opens the lake, or an empty one in memory if it does not exist. Creates nothing on storage.
///
/// # Errors
/// A storage or configuration error that names the URL.
pub(crate) async fn lake_or_empty(config: &Config) -> Result<Storage> {
    let location = config.location(&config.lake);
    let existing = storage::open_if_exists(&location).await?;
    Ok(existing.unwrap_or_else(|| Storage::new(Arc::new(InMemory::new()), location)))
}

async fn open_sources(config: &Config) -> Result<Vec<(String, Storage)>> {
    let mut sources = Vec::with_capacity(config.sources.len());
    for source in &config.sources {
        sources.push((source.name.clone(), storage::open(&config.location(&source.url)).await?));
    }
    Ok(sources)
}
