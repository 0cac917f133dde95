//! Names that queries use: tables by their name, staging tables as `staging.<source>`, and system
//! tables as `system.<table>`.

use std::sync::Arc;

use datafusion::catalog::{MemorySchemaProvider, SchemaProvider, TableProvider};
use datafusion::prelude::SessionContext;
use lakewright_common::error::{Context, Error, Result};
use lakewright_common::report::WrittenFile;

use crate::engine::parquet_table::ParquetTable;
use crate::lake::manifest::{DataFile, TableState};

/// SQL schema of the lake's tables. It is DataFusion's default, so a query need not name it.
pub(crate) const TABLES_SCHEMA: &str = "public";

/// Makes `provider` visible as the table `schema.name`. Replaces a table that had this name before.
///
/// # Errors
/// An internal error if the session has no catalog or refuses the table.
pub(crate) fn register(
    session: &SessionContext,
    schema: &str,
    name: &str,
    provider: Arc<dyn TableProvider>,
) -> Result<()> {
    let unregistered = || Error::internal(format!("cannot register `{schema}.{name}`"));
    let catalog = session.catalog("datafusion").ok_or_else(|| Error::internal("the session has no catalog"))?;
    let tables: Arc<dyn SchemaProvider> = match catalog.schema(schema) {
        Some(tables) => tables,
        None => {
            let tables: Arc<dyn SchemaProvider> = Arc::new(MemorySchemaProvider::new());
            catalog.register_schema(schema, Arc::clone(&tables)).context(unregistered)?;
            tables
        }
    };
    // Registering a name twice fails, so remove the table that had it before.
    tables.deregister_table(name).context(unregistered)?;
    tables.register_table(name.to_owned(), provider).context(unregistered)?;
    Ok(())
}

/// Makes a table of a manifest visible by its name.
///
/// # Errors
/// The errors of [`register`].
pub(crate) fn register_table(session: &SessionContext, table: &TableState) -> Result<()> {
    let provider = ParquetTable::new(table.columns.arrow_schema()?, &table.partition_by, written(&table.files));
    register(session, TABLES_SCHEMA, &table.name, Arc::new(provider))
}

/// Returns the files as tasks reported them, without the version in which each was added.
pub(crate) fn written(files: &[DataFile]) -> Vec<WrittenFile> {
    files.iter().map(|file| file.written.clone()).collect()
}
