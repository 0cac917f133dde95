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

use lakewright_common::error::Error;
#[cfg(not(feature = "glue"))]
use lakewright_common::{config::resolved::Bucket, error::Result, storage::Storage};

#[cfg(not(feature = "glue"))]
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

#[cfg(feature = "glue")]
pub(crate) use service::apply;

/// Takes the place of `service::apply` in a build without the client of the service.
///
/// # Errors
/// Always a configuration error.
#[cfg(not(feature = "glue"))]
#[expect(clippy::unused_async, reason = "`service::apply` is asynchronous")]
pub(crate) async fn apply(_: &Bucket, _: &str, _: &Storage, _: &[TableState], _: bool) -> Result<Applied> {
    Err(Error::configuration("this build of the coordinator has no `catalog --apply`").hint(
        "use a released binary, or build with `--features glue`; `catalog` without `--apply` prints the definitions",
    ))
}
