//! Tables of a lake in the AWS Glue Data Catalog, where Athena, Spark on EMR, Redshift Spectrum and
//! others find them by name.
#![cfg_attr(not(feature = "glue"), expect(dead_code, reason = "only `service` uses the rest"))]

/// Definition of a table for the catalog.
pub(crate) mod definition;
/// Lists of a table's files, for readers without Delta.
mod symlinks;
/// Puts the tables into the catalog. Only built with the feature `glue`, because the client of the
/// service takes a minute to compile.
#[cfg(feature = "glue")]
mod service;

use lakewright_common::config::resolved::Bucket;
use lakewright_common::error::{Error, Result};
use lakewright_common::storage::Storage;

use crate::lake::manifest::TableState;

/// Tables that were put into the catalog. If a table failed, also its error; later tables were not
/// tried.
#[derive(Debug, Default)]
pub(crate) struct Applied {
    pub(crate) tables: Vec<AppliedTable>,
    pub(crate) failure: Option<Error>,
}

/// A table that was put into the catalog.
#[derive(Debug)]
pub(crate) struct AppliedTable {
    /// Name as `<database>.<table>`.
    pub(crate) name: String,
    pub(crate) change: &'static str,
    pub(crate) location: String,
    /// Number of file lists that were written to the lake; `None` without `--symlinks`.
    pub(crate) lists: Option<u64>,
    /// Numbers of partitions that were changed in the catalog, as text. `None` without
    /// `--symlinks`, and for a table without partitions.
    pub(crate) partitions: Option<String>,
}

/// Puts tables into `database` of the catalog. With `by_lists`, also writes lists of the tables'
/// files to the lake. Readers then find the files through these lists.
///
/// # Errors
/// A storage error if the database cannot be created. A configuration error if this build has no
/// client of the service.
#[cfg_attr(not(feature = "glue"), expect(clippy::unused_async, unused_variables, reason = "see the feature `glue`"))]
pub(crate) async fn apply(
    bucket: &Bucket,
    database: &str,
    lake: &Storage,
    tables: &[TableState],
    by_lists: bool,
) -> Result<Applied> {
    #[cfg(feature = "glue")]
    return service::apply(bucket, database, lake, tables, by_lists).await;
    #[cfg(not(feature = "glue"))]
    Err(Error::configuration("this build of the coordinator has no `catalog --apply`").hint(
        "use a released binary, or build with `--features glue`; `catalog` without `--apply` prints the definitions",
    ))
}
