//! Tables of a lake in the AWS Glue Data Catalog, where Athena, Spark on EMR, Redshift Spectrum and
//! others find them by name.

/// Definition of a table for the catalog.
pub(crate) mod definition;
/// Lists of a table's files, for readers without Delta.
pub(crate) mod symlinks;
/// Partitions of a table that is read by lists.
pub(crate) mod partitions;
/// The database and its tables.
pub(crate) mod tables;
/// Errors of the service.
mod failure;
