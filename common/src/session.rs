//! The one function that makes a query session, so that every process plans and executes alike.
//!
//! Object stores are registered under names of the project (`lakewright://lake/`, `lakewright://<source>/`), so that
//! every path in a plan is a key relative to the lake's or the source's root, whatever the storage below.

use std::num::NonZeroUsize;
use std::sync::Arc;

use datafusion::datasource::object_store::ObjectStoreUrl;
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{FairSpillPool, TrackConsumersPool};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};

use crate::config::resolved::Limits;
use crate::error::{Error, Result};
use crate::read::progress::ReadProgress;
use crate::storage::Storage;

/// Rows of one batch, everywhere.
pub const BATCH_ROWS: usize = 8192;

/// The share of the memory limit that operators which can spill may hold. The rest is for what they do not account
/// for: a hash table while it grows, rows between a table and its spill, records under way, Parquet pages.
const POOL_SHARE: f64 = 0.3;

/// Rows of up to these bytes are sorted as one. A sort of more merges sorted batches, and then holds the keys of all of
/// them once more, which its memory must have room for; more than this could overflow the offsets of a text column.
const SORT_AS_ONE_BYTES: usize = 1 << 30;
/// The share of a large sort's memory that is kept free for those keys.
const SORT_KEYS_SHARE: f64 = 1.0 / 6.0;

/// The largest consumers that an out-of-memory message names.
const NAMED_CONSUMERS: NonZeroUsize = NonZeroUsize::new(3).unwrap();

/// What a plan calls the lake.
#[must_use]
pub fn lake_store_url() -> ObjectStoreUrl {
    store_url("lake")
}

/// What a plan calls the storage of a source.
#[must_use]
pub fn source_store_url(source: &str) -> ObjectStoreUrl {
    store_url(&format!("source.{source}"))
}

#[expect(clippy::expect_used, reason = "source names are checked to be identifiers, which are valid host names")]
fn store_url(host: &str) -> ObjectStoreUrl {
    ObjectStoreUrl::parse(format!("lakewright://{host}")).expect("a checked name is a valid host")
}

/// A session within `limits`, over the lake and the sources given.
///
/// # Errors
/// A scratch folder that cannot be used.
pub fn build(
    limits: &Limits,
    lake: &Storage,
    sources: &[(String, Storage)],
    progress: Arc<ReadProgress>,
) -> Result<SessionContext> {
    let disk = match &limits.scratch {
        Some(folder) => {
            std::fs::create_dir_all(folder).map_err(|e| {
                Error::storage("create", folder.display(), e)
                    .hint("set `[limits] scratch` to a folder that can be written")
            })?;
            DiskManagerBuilder::default().with_mode(DiskManagerMode::Directories(vec![folder.clone()]))
        }
        None => DiskManagerBuilder::default(),
    };
    let pool_bytes = share(limits.memory_bytes, POOL_SHARE);
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(TrackConsumersPool::new(FairSpillPool::new(pool_bytes), NAMED_CONSUMERS)))
        .with_disk_manager_builder(disk)
        .build_arc()
        .map_err(|e| Error::storage("use", "the scratch folder", e))?;
    runtime.register_object_store(lake_store_url().as_ref(), Arc::clone(&lake.store));
    for (name, storage) in sources {
        runtime.register_object_store(source_store_url(name).as_ref(), Arc::clone(&storage.store));
    }
    let state = SessionStateBuilder::new()
        .with_config(options(limits, pool_bytes).with_extension(progress))
        .with_runtime_env(runtime)
        .with_default_features()
        .build();
    Ok(SessionContext::new_with_state(state))
}

/// The options that decide results and plans; none of them depends on the machine but the number of partitions.
fn options(limits: &Limits, pool_bytes: usize) -> SessionConfig {
    let mut config = SessionConfig::new()
        .with_target_partitions(limits.threads)
        .with_batch_size(BATCH_ROWS)
        .with_information_schema(false);
    let options = config.options_mut();
    options.execution.time_zone = Some("+00:00".into());
    // Parquet and Delta know one string type; a view would be converted back at every write.
    options.sql_parser.map_string_types_to_utf8view = false;
    options.execution.parquet.schema_force_view_types = false;
    options.execution.parquet.pushdown_filters = true;
    options.execution.parquet.reorder_filters = true;
    // A spill file is written once and read once, close by: cheap compression pays for the smaller write.
    options.execution.spill_compression = datafusion::config::SpillCompression::Lz4Frame;
    options.execution.sort_in_place_threshold_bytes = SORT_AS_ONE_BYTES;
    let sort_bytes = pool_bytes / limits.threads.max(1);
    if sort_bytes > SORT_AS_ONE_BYTES {
        options.execution.sort_spill_reservation_bytes = share(sort_bytes as u64, SORT_KEYS_SHARE);
    }
    config
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a size in bytes")]
fn share(bytes: u64, share: f64) -> usize {
    (bytes as f64 * share) as usize
}
