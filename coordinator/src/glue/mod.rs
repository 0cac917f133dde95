//! Tables of a lake in the AWS Glue Data Catalog, where Athena, Spark on EMR, Redshift Spectrum and others find them by name.

/// What a table looks like to the catalog.
pub(crate) mod definition;
/// Lists of a table's files, for readers that know no Delta.
pub(crate) mod symlinks;
/// The lists of a partitioned table, one by one.
pub(crate) mod partitions;
/// The database and its tables.
pub(crate) mod tables;
/// What the service refuses.
mod failure;
