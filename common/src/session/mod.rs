//! Builds query sessions, so that every process plans and runs queries in the same way.
//!
//! Object stores are registered under the URLs `lakewright://lake/` and `lakewright://spool/`. So
//! every path in a plan is a key relative to the root of the lake or of the spool. This root may be
//! in a folder or in a bucket. A scan finds the storage of its source by the name of the source.

/// Classifies failures of running plans.
pub mod plan_failure;
/// Counters of what has been read.
pub mod progress;
/// Divides a process's memory limit among tasks, pools and buffers.
pub mod memory;

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

use datafusion::common::config::ConfigNonZeroUsize;
use datafusion::datasource::object_store::ObjectStoreUrl;
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{FairSpillPool, TrackConsumersPool};
use datafusion::execution::object_store::{DefaultObjectStoreRegistry, ObjectStoreRegistry};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::prelude::{SessionConfig, SessionContext};

use crate::config::resolved::Location;
use crate::error::{Context, Error, Result};
use crate::first_row::rule::FirstRowRule;
use crate::functions;
use crate::process::scratch::Scratch;
use crate::session::memory::{POOL_SHARE, SORT_AS_ONE_BYTES, SORT_KEYS_SHARE, TaskScope, share};
use crate::session::progress::ReadProgress;
use crate::sql;
use crate::storage::s3::requests::RequestCounts;
use crate::storage::{self, Storage};

/// Maximum number of rows per batch, in all plans.
pub const BATCH_ROWS: usize = 8192;

/// Number of memory consumers that an out-of-memory message lists, starting with the largest.
const NAMED_CONSUMERS: NonZeroUsize = NonZeroUsize::new(3).unwrap();

/// Opened storages that a plan reads and writes.
#[derive(Debug, Clone)]
pub struct Storages {
    pub lake: Storage,
    /// Storage of the rows that move between stages; the lake if there is no exchange.
    pub spool: Storage,
    /// Names and storages of the sources, in the order of the configuration.
    pub sources: Vec<(String, Storage)>,
}

/// Locations of a plan's storages, which a worker uses to open them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Locations {
    pub lake: Location,
    pub spool: Location,
    pub sources: Vec<(String, Location)>,
}

impl Storages {
    #[must_use]
    pub fn locations(&self) -> Locations {
        let of = |storage: &Storage| storage.location().clone();
        Locations {
            lake: of(&self.lake),
            spool: of(&self.spool),
            sources: self.sources.iter().map(|(name, storage)| (name.clone(), of(storage))).collect(),
        }
    }

    /// Returns the counts of requests to the buckets of these storages. Access to folders is not
    /// counted.
    #[must_use]
    pub fn requests(&self) -> RequestCounts {
        let storages = [&self.lake, &self.spool].into_iter().chain(self.sources.iter().map(|(_, storage)| storage));
        let mut buckets: Vec<_> = storages.filter_map(|storage| storage.s3.as_ref()).collect();
        // Unless `spool` is set, the spool is in the lake's bucket. Count that bucket once.
        buckets.dedup_by(|a, b| Arc::ptr_eq(a, b));
        let mut counts = RequestCounts::default();
        for bucket in buckets {
            counts.add(&bucket.requests());
        }
        counts
    }

    /// Returns the storage of a source.
    #[must_use]
    pub fn source(&self, name: &str) -> Option<&Storage> {
        self.sources.iter().find(|(opened, _)| opened == name).map(|(_, storage)| storage)
    }
}

impl Locations {
    /// Opens all storages.
    ///
    /// # Errors
    /// A storage or configuration error that names the URL.
    pub async fn open(&self) -> Result<Storages> {
        let lake = storage::open(&self.lake).await?;
        let spool = if self.spool == self.lake { lake.clone() } else { storage::open(&self.spool).await? };
        let mut sources = Vec::with_capacity(self.sources.len());
        for (name, location) in &self.sources {
            sources.push((name.clone(), storage::open(location).await?));
        }
        Ok(Storages { lake, spool, sources })
    }
}

/// Memory pool and scratch folder of this process, shared by all its sessions.
#[derive(Debug)]
pub struct Resources {
    runtime: RuntimeEnv,
    /// Scratch folder, shared with the sessions because their queries may outlive this value.
    scratch: Arc<Scratch>,
    /// Maximum number of bytes that one task sorts in memory.
    sort_bytes: usize,
}

/// Returns the URL of the lake within plans, `lakewright://lake/`.
#[must_use]
pub fn lake_store_url() -> ObjectStoreUrl {
    store_url("lake")
}

/// Returns the URL of a session's lake on storage. Messages append the key of an object to it.
#[must_use]
pub fn lake_name(config: &SessionConfig) -> String {
    let storages = config.get_extension::<Storages>();
    storages.map_or_else(String::new, |storages| storages.lake.location().name().into_owned())
}

/// Returns the URL of the spool within plans, `lakewright://spool/`.
#[must_use]
pub fn spool_store_url() -> ObjectStoreUrl {
    store_url("spool")
}

#[expect(clippy::expect_used, reason = "the two names are valid host names")]
fn store_url(host: &str) -> ObjectStoreUrl {
    ObjectStoreUrl::parse(format!("lakewright://{host}")).expect("a valid host")
}

impl Resources {
    /// Creates the memory pool for `memory_bytes` and `tasks` concurrent tasks, and a scratch
    /// folder below `scratch`. If `scratch` is `None`, uses the system's temporary folder.
    ///
    /// # Errors
    /// A storage error, if the scratch folder cannot be used.
    pub fn new(memory_bytes: u64, tasks: usize, scratch: Option<&Path>) -> Result<Self> {
        let scratch = Scratch::create(scratch.unwrap_or(&std::env::temp_dir()))?;
        let disk =
            DiskManagerBuilder::default().with_mode(DiskManagerMode::Directories(vec![scratch.path().to_path_buf()]));
        let pool_bytes = share(memory_bytes, POOL_SHARE);
        let pool = FairSpillPool::new(pool_bytes);
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(TrackConsumersPool::new(pool, NAMED_CONSUMERS)))
            .with_disk_manager_builder(disk)
            .build()
            .storage_context("use", || "the scratch folder")?;
        Ok(Self { runtime, scratch: Arc::new(scratch), sort_bytes: pool_bytes / tasks.max(1) })
    }

    /// Removes the scratch folder at once, for a process that exits while queries still use the
    /// folder.
    pub fn remove_scratch(&self) {
        self.scratch.remove();
    }

    /// Returns a runtime with these resources and with `storages`.
    fn over(&self, storages: &Storages) -> Result<Arc<RuntimeEnv>> {
        let registry = DefaultObjectStoreRegistry::new();
        // DataFusion registers the local file system by default, which would allow a plan to read
        // any file of this machine.
        let _ = registry.deregister_store(ObjectStoreUrl::local_filesystem().as_ref());
        let runtime = RuntimeEnvBuilder::from_runtime_env(&self.runtime)
            .with_object_store_registry(Arc::new(registry))
            .build_arc()
            .context(|| Error::internal("cannot create a session"))?;
        runtime.register_object_store(lake_store_url().as_ref(), Arc::clone(&storages.lake.verified));
        runtime.register_object_store(spool_store_url().as_ref(), Arc::clone(&storages.spool.store));
        Ok(runtime)
    }
}

/// Builds a session that has access to `storages`, and that plans queries for `partitions`
/// concurrent partitions.
///
/// # Errors
/// Never fails in practice.
pub fn build(
    resources: &Resources,
    storages: &Storages,
    partitions: usize,
    scope: TaskScope,
    progress: Arc<ReadProgress>,
) -> Result<SessionContext> {
    let state = SessionStateBuilder::new()
        .with_config(
            options(partitions, resources.sort_bytes)
                .with_extension(progress)
                .with_extension(Arc::new(storages.clone()))
                .with_extension(Arc::new(scope))
                .with_extension(Arc::clone(&resources.scratch)),
        )
        .with_runtime_env(resources.over(storages)?)
        .with_default_features()
        .with_optimizer_rules(sql::logical_rules())
        .with_physical_optimizer_rules(sql::physical_rules())
        .with_physical_optimizer_rule(Arc::new(FirstRowRule))
        .build();
    let mut session = SessionContext::new_with_state(state);
    datafusion_functions_json::register_all(&mut session)
        .context(|| Error::internal("cannot register the SQL functions"))?;
    functions::register(&session).context(|| Error::internal("cannot register the SQL functions"))?;
    sql::extend(&session).context(|| Error::internal("cannot register the SQL functions"))?;
    Ok(session)
}

/// Returns the options that affect plans and results. Only the number of partitions and the sort
/// memory depend on the machine.
fn options(partitions: usize, sort_bytes: usize) -> SessionConfig {
    let mut config = SessionConfig::new()
        .with_target_partitions(partitions)
        .with_batch_size(BATCH_ROWS)
        .with_information_schema(false);
    let options = config.options_mut();
    options.execution.time_zone = Some("+00:00".into());
    if let Ok(limit) = ConfigNonZeroUsize::try_new(sql::PARSER_RECURSION_LIMIT) {
        options.sql_parser.recursion_limit = limit;
    }
    // Parquet and Delta have one string type. String views (`Utf8View`) would be converted at every
    // write.
    options.sql_parser.map_string_types_to_utf8view = false;
    options.execution.parquet.schema_force_view_types = false;
    options.execution.parquet.pushdown_filters = true;
    options.execution.parquet.reorder_filters = true;
    // DataFusion stops a partial aggregation that does not reduce the rows, after this number of
    // rows. Its work until then is in vain, so the number is lower than the default.
    options.execution.skip_partial_aggregation_probe_rows_threshold = 16_384;
    // Use a cheap compression, because a spill file is read only once, soon after it is written.
    options.execution.spill_compression = datafusion::config::SpillCompression::Lz4Frame;
    options.execution.sort_in_place_threshold_bytes = SORT_AS_ONE_BYTES;
    if sort_bytes > SORT_AS_ONE_BYTES {
        options.execution.sort_spill_reservation_bytes = share(sort_bytes as u64, SORT_KEYS_SHARE);
    }
    config
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use tempfile::TempDir;
    use url::Url;

    use super::*;

    /// Reason of functions that take a lambda.
    const LAMBDA: &str = "cannot be called, because the parser's dialect has no lambdas";

    /// Functions that the page leaves out, each with the reason.
    const LEFT_OUT: &[(&str, &str)] = &[
        // The rules of `crate::sql` and the coordinator put these into plans.
        ("checked_arithmetic", "replaces operators of numbers"),
        ("in_hash_set", "selects the rows whose key occurs more than once"),
        ("key_hash", "selects the rows whose key occurs more than once"),
        ("moment_and_interval", "replaces `+` and `-` of a timestamp and an interval"),
        ("moment_in_zone", "replaces casts to a time zone"),
        ("storable_moment", "checks the columns of models"),
        ("subquery_value", "replaces values of subqueries"),
        ("any_match", LAMBDA),
        ("array_any_match", LAMBDA),
        ("array_filter", LAMBDA),
        ("array_first", LAMBDA),
        ("array_transform", LAMBDA),
        ("list_any_match", LAMBDA),
        ("list_filter", LAMBDA),
        ("list_first", LAMBDA),
        ("list_transform", LAMBDA),
    ];

    /// Sections of the page whose rows are no scalar functions, each with the kind of its rows.
    const KINDS: &[(&str, &str)] = &[
        ("Aggregates", "aggregate"),
        ("Window functions", "window function"),
        ("Table functions", "table function"),
        ("Operators", "syntax"),
        ("Clauses", "syntax"),
    ];

    /// Returns the functions of the page, as kind and name.
    fn documented(page: &str) -> BTreeSet<(&str, &str)> {
        let mut found = BTreeSet::new();
        for section in page.split("\n## ").skip(1) {
            let heading = section.lines().next().unwrap();
            let kind = KINDS.iter().find(|(name, _)| *name == heading).map_or("function", |(_, kind)| *kind);
            let rows = section.lines().filter(|line| line.starts_with("| `"));
            // The first cell has the function and its other names, each in backticks.
            let cells = rows.map(|row| row.split(" | ").next().unwrap());
            let names = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2));
            for name in names.filter(|_| kind != "syntax") {
                let name = name.split('(').next().unwrap();
                assert!(found.insert((kind, name)), "the page has the {kind} `{name}` twice");
            }
        }
        found
    }

    /// Builds a session like that of a query, without tables.
    async fn session() -> SessionContext {
        let folder = TempDir::new().unwrap();
        let lake = storage::open(&Location::of(Url::from_directory_path(folder.path()).unwrap())).await.unwrap();
        let storages = Storages { spool: lake.clone(), lake, sources: vec![] };
        let resources = Resources::new(256 << 20, 1, None).unwrap();
        build(&resources, &storages, 1, TaskScope::new(0, 256 << 20, 1), Arc::default()).unwrap()
    }

    #[tokio::test]
    async fn the_page_of_functions_lists_the_functions_of_a_session() {
        let state = session().await.state();
        // The keys of these maps include the other names of each function.
        let scalar = state.scalar_functions().keys().chain(state.higher_order_functions().keys());
        let registered: BTreeSet<(&str, &str)> = scalar
            .map(|name| ("function", name.as_str()))
            .chain(state.aggregate_functions().keys().map(|name| ("aggregate", name.as_str())))
            .chain(state.window_functions().keys().map(|name| ("window function", name.as_str())))
            .chain(state.table_functions().keys().map(|name| ("table function", name.as_str())))
            .collect();
        let left_out: BTreeSet<(&str, &str)> = LEFT_OUT.iter().map(|(name, _)| ("function", *name)).collect();
        // Cargo runs a test in the folder of its package.
        let page = std::fs::read_to_string("../docs/functions.md").unwrap();
        let documented = documented(&page);

        let unknown: Vec<_> = left_out.difference(&registered).collect();
        assert!(unknown.is_empty(), "`LEFT_OUT` has functions that are not registered: {unknown:?}");
        let expected: BTreeSet<_> = registered.difference(&left_out).copied().collect();
        let missing: Vec<_> = expected.difference(&documented).collect();
        let superfluous: Vec<_> = documented.difference(&expected).collect();
        assert!(
            missing.is_empty() && superfluous.is_empty(),
            "docs/functions.md lacks {missing:?}, and has {superfluous:?}, which no session has"
        );
    }
}
