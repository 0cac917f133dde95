//! The storages of a configuration, opened: the lake and every source.

use std::sync::Arc;

use datafusion::prelude::SessionContext;
use lakewright_common::config::resolved::Config;
use lakewright_common::error::Result;
use lakewright_common::session::progress::ReadProgress;
use lakewright_common::session::{self, Resources, Storages, TaskScope};
use lakewright_common::storage::{self, Storage};
use object_store::memory::InMemory;

/// For commands that write: a lake that is not there yet is begun.
///
/// # Errors
/// Storage or configuration, naming the URL.
pub(crate) async fn open_or_create(config: &Config) -> Result<Storages> {
    let lake = storage::open_or_create(&config.location(&config.lake)).await?;
    let spool = match config.cluster.as_ref().and_then(|cluster| cluster.spool.as_ref()) {
        Some(url) => storage::open_or_create(&config.location(url)).await?,
        None => lake.clone(),
    };
    Ok(Storages { lake, spool, sources: open_sources(config).await? })
}

/// For the dry run, which writes nothing.
///
/// # Errors
/// Storage or configuration, naming the URL.
pub(crate) async fn open_or_empty(config: &Config) -> Result<Storages> {
    let lake = lake_or_empty(config).await?;
    Ok(Storages { spool: lake.clone(), lake, sources: open_sources(config).await? })
}

/// The storage of a source of the configuration.
#[expect(clippy::expect_used, reason = "every source of the configuration was opened")]
pub(crate) fn source<'a>(storages: &'a Storages, name: &str) -> &'a Storage {
    storages.source(name).expect("a configured source")
}

/// A session in this process, over `storages` and within the configuration's limits.
///
/// # Errors
/// A scratch folder that cannot be used.
pub(crate) fn session(
    config: &Config,
    storages: &Storages,
    partitions: usize,
    progress: Arc<ReadProgress>,
) -> Result<SessionContext> {
    let limits = &config.limits;
    let resources = Resources::new(limits.memory_bytes, limits.threads, limits.scratch.as_deref())?;
    session::build(&resources, storages, partitions, TaskScope::new(0, limits.memory_bytes, limits.threads), progress)
}

/// The lake; one that was not begun yet reads as an empty one, and stays that way.
///
/// # Errors
/// Storage or configuration, naming the URL.
pub(crate) async fn lake_or_empty(config: &Config) -> Result<Storage> {
    let location = config.location(&config.lake);
    let begun = storage::open_if_exists(&location).await?;
    Ok(begun.unwrap_or_else(|| Storage::new(Arc::new(InMemory::new()), location)))
}

async fn open_sources(config: &Config) -> Result<Vec<(String, Storage)>> {
    let mut sources = Vec::with_capacity(config.sources.len());
    for source in &config.sources {
        sources.push((source.name.clone(), storage::open(&config.location(&source.url)).await?));
    }
    Ok(sources)
}
