//! One version of the lake, ready to be queried: its tables by their names, and the system tables.

use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::ScalarUDF;
use datafusion::prelude::SessionContext;
use futures::TryStreamExt;
use lakewright_common::config::resolved::Config;
use lakewright_common::error::{EngineContext, Error, Result};
use lakewright_common::session::Storages;
use lakewright_common::session::plan_failure::stage_error;
use lakewright_common::sql::check_text;
use lakewright_common::storage::Storage;

use crate::lake::manifest::Manifest;
use crate::lake::{manifest_store, publish};
use crate::model::read_only;
use crate::open::{self, lake_or_empty};
use crate::session_tables::{self, TABLES_SCHEMA};

/// The system tables: queryable metadata of the lake.
mod system;

/// Returns the error for a version that does not exist.
pub(crate) fn no_such_version(version: u64, newest: u64) -> Error {
    Error::configuration(format!("the lake has no version {version}"))
        .hint(format!("the newest is {newest}; `coordinator history` lists them"))
}

/// Returns the error for a lake without a version. If a configured table has a Delta log
/// nevertheless, the lake's `_lake` folder was lost. The error is then the same as that of `run`.
pub(crate) async fn nothing_committed(config: &Config, lake: &Storage) -> Error {
    let tables: Vec<&str> = config.tables.iter().map(|table| table.name.as_str()).collect();
    match publish::verify(lake, None, &tables).await {
        Err(error) => error,
        Ok(()) => Error::configuration(format!("there is nothing in the lake `{}` yet", config.lake))
            .hint("run `coordinator run` first"),
    }
}

/// One version of the lake, ready to be queried.
pub(crate) struct View {
    pub(crate) lake: Storage,
    pub(crate) manifest: Manifest,
    session: SessionContext,
}

impl View {
    /// Opens `version`, or the newest version if it is `None`. An older version can be opened even
    /// if the newest is damaged.
    ///
    /// # Errors
    /// A configuration error if the version does not exist. A storage error if its manifest cannot
    /// be read.
    pub(crate) async fn open(config: &Config, version: Option<u64>) -> Result<Self> {
        let lake = lake_or_empty(config).await?;
        let Some(newest) = manifest_store::latest_number(&lake).await? else {
            return Err(nothing_committed(config, &lake).await);
        };
        let version = version.unwrap_or(newest);
        let latest = manifest_store::get(&lake, newest).await;
        let manifest = match latest {
            Ok(Some(latest)) => {
                // Bring the Delta logs up to the newest version, whichever version is queried.
                catch_up(&lake, &latest).await;
                if version == newest { Some(latest) } else { manifest_store::get(&lake, version).await? }
            }
            Ok(None) => manifest_store::get(&lake, version).await?,
            Err(error) if version == newest => return Err(error),
            Err(error) => {
                // The user may have chosen an older version because the newest is damaged.
                tracing::warn!(version = newest, %error, "the newest version of the lake cannot be read");
                manifest_store::get(&lake, version).await?
            }
        };
        let manifest = manifest.ok_or_else(|| no_such_version(version, newest))?;
        // Queries read only files of the lake, so neither spool nor sources are opened.
        let storages = Storages { lake: lake.clone(), spool: lake.clone(), sources: vec![] };
        let session = open::session(config, &storages, config.limits.threads, Arc::default())?;
        for table in &manifest.tables {
            session_tables::register_table(&session, table)?;
        }
        system::register(&session, &lake, &manifest)?;
        Ok(Self { lake, manifest, session })
    }

    /// Returns this view, or a view of the newest version of the lake if that is another one.
    ///
    /// # Errors
    /// The errors of [`Self::open`].
    pub(crate) async fn newest(self: Arc<Self>, config: &Config) -> Result<Arc<Self>> {
        if manifest_store::latest_number(&self.lake).await? == Some(self.manifest.version) {
            return Ok(self);
        }
        Self::open(config, None).await.map(Arc::new)
    }

    /// Returns schema and name of all tables that queries can read: first the tables of the lake,
    /// then the system tables.
    pub(crate) fn table_names(&self) -> Vec<(String, String)> {
        let catalogs = self.session.catalog_names().into_iter().filter_map(|name| self.session.catalog(&name));
        let mut names = Vec::new();
        for catalog in catalogs {
            for schema in catalog.schema_names() {
                let tables = catalog.schema(&schema).map(|tables| tables.table_names()).unwrap_or_default();
                names.extend(tables.into_iter().map(|table| (schema.clone(), table)));
            }
        }
        names.sort_by_key(|(schema, table)| (schema != TABLES_SCHEMA, schema.clone(), table.clone()));
        names
    }

    /// Registers a function for later queries.
    pub(crate) fn register(&self, function: ScalarUDF) {
        self.session.register_udf(function);
    }

    /// Runs a query and returns its rows as a stream.
    ///
    /// # Errors
    /// A configuration error for a query that does not parse, names an unknown table or column, or does
    /// more than read. A data error, or a storage error.
    pub(crate) async fn stream(&self, sql: &str) -> Result<SendableRecordBatchStream> {
        let planning = |e: DataFusionError| {
            Error::configuration("the query cannot run").caused_by(e.strip_backtrace()).hint(format!(
                "tables are `{}`, `system.ledger`, `system.quarantine` and `system.history`; a query only reads",
                self.manifest.tables.iter().map(|table| table.name.as_str()).collect::<Vec<_>>().join("`, `")
            ))
        };
        // Refuse text that is nested too deeply to parse, or for which DataFusion would return
        // wrong results.
        check_text(sql)?;
        let frame = self.session.sql_with_options(sql, read_only()).await.engine_context(planning)?;
        frame.execute_stream().await.engine_context(planning)
    }

    /// Runs a query and returns its rows. Returns at least one batch, which shows the columns even
    /// if there are no rows.
    ///
    /// # Errors
    /// A configuration error for a query that does not parse, names an unknown table or column, or does
    /// more than read. A data error, or a storage error.
    pub(crate) async fn rows(&self, sql: &str) -> Result<Vec<RecordBatch>> {
        let stream = self.stream(sql).await?;
        let schema = stream.schema();
        let mut rows: Vec<RecordBatch> = stream.try_collect().await.engine_context(stage_error)?;
        if rows.is_empty() {
            rows.push(RecordBatch::new_empty(schema));
        }
        Ok(rows)
    }
}

/// Writes the Delta log entries that are missing because a run crashed after its commit. Only logs
/// a failure, so that a user without write permission can still query.
async fn catch_up(lake: &Storage, newest: &Manifest) {
    let failures = match publish::catch_up(lake, newest).await {
        Ok(failures) => failures,
        Err(error) => return tracing::warn!(%error, "the Delta logs may be behind the lake"),
    };
    for publish::Failure { table, error } in failures {
        let hint = error.hint.as_deref();
        match table {
            Some(table) => tracing::warn!(table, %error, hint, "a Delta log does not show what the lake has"),
            None => tracing::warn!(%error, hint, "the Delta versions that belong together are not published"),
        }
    }
}
