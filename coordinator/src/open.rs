//! The storages of a configuration, opened: the lake and every source.

use std::sync::Arc;

use lakewright_common::config::resolved::Config;
use lakewright_common::error::Result;
use lakewright_common::storage::{self, Storage};
use object_store::memory::InMemory;

/// Every storage that a command touches.
pub(crate) struct Opened {
    pub(crate) lake: Storage,
    /// By source name, in the order of the configuration.
    pub(crate) sources: Vec<(String, Storage)>,
}

impl Opened {
    /// For commands that write: a lake that is not there yet is begun.
    ///
    /// # Errors
    /// Storage or configuration, naming the URL.
    pub(crate) async fn open_or_create(config: &Config) -> Result<Self> {
        Ok(Self { lake: storage::open_or_create(&config.lake).await?, sources: open_sources(config)? })
    }

    /// For the dry run, which writes nothing.
    ///
    /// # Errors
    /// Storage or configuration, naming the URL.
    pub(crate) fn open_or_empty(config: &Config) -> Result<Self> {
        Ok(Self { lake: lake_or_empty(config)?, sources: open_sources(config)? })
    }

    /// The storage of a source of the configuration.
    #[expect(clippy::expect_used, reason = "every source of the configuration was opened")]
    pub(crate) fn source(&self, name: &str) -> &Storage {
        self.sources.iter().find(|(opened, _)| opened == name).map(|(_, storage)| storage).expect("a configured source")
    }
}

/// The lake; one that was not begun yet reads as an empty one, and stays that way.
///
/// # Errors
/// Storage or configuration, naming the URL.
pub(crate) fn lake_or_empty(config: &Config) -> Result<Storage> {
    let begun = storage::open_if_exists(&config.lake)?;
    Ok(begun.unwrap_or_else(|| Storage { store: Arc::new(InMemory::new()), root: config.lake.clone() }))
}

fn open_sources(config: &Config) -> Result<Vec<(String, Storage)>> {
    config.sources.iter().map(|source| Ok((source.name.clone(), storage::open(&source.url)?))).collect()
}
