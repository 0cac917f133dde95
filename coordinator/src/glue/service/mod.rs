//! Puts tables into the Glue Data Catalog.

/// Creates and updates the database and its tables in the catalog.
mod tables;
/// Updates a table's partitions in the catalog, if the table is read through lists of its files.
mod partitions;
/// Definitions in the form that the client sends.
mod input;
/// Errors of the Glue service.
mod failure;

use aws_sdk_glue::Client;
use lakewright_common::config::resolved::Bucket;
use lakewright_common::error::Result;
use lakewright_common::storage::{Storage, s3};

use super::definition::Definition;
use super::{Applied, AppliedTable, symlinks};
use crate::lake::manifest::TableState;

/// Puts tables into `database`, which is created if it does not exist. With `by_lists`, also writes
/// lists of the tables' files to the lake. Readers then find the files through these lists.
///
/// # Errors
/// A storage error if the database cannot be created. The failure of a table is part of the result.
pub(crate) async fn apply(
    bucket: &Bucket,
    database: &str,
    lake: &Storage,
    tables: &[TableState],
    by_lists: bool,
) -> Result<Applied> {
    let client = Client::new(&s3::sdk_config(bucket).await);
    tables::ensure_database(&client, database).await?;
    let mut applied = Applied::default();
    for table in tables {
        let outcome = if by_lists {
            apply_symlinks(&client, database, lake, table).await
        } else {
            apply_table(&client, database, &Definition::of_delta(&lake.name_of(""), table)).await
        };
        match outcome {
            Ok(table) => applied.tables.push(table),
            Err(error) => {
                // Stop here: the remaining tables would probably fail in the same way.
                applied.failure = Some(error);
                break;
            }
        }
    }
    Ok(applied)
}

async fn apply_table(client: &Client, database: &str, table: &Definition) -> Result<AppliedTable> {
    let change = tables::apply(client, database, table).await?.as_str();
    let name = format!("{database}.{}", table.name);
    Ok(AppliedTable { name, change, location: table.location.clone(), lists: None, partitions: None })
}

async fn apply_symlinks(client: &Client, database: &str, lake: &Storage, state: &TableState) -> Result<AppliedTable> {
    let (table, lists) = (Definition::of_symlinks(&lake.name_of(""), state), symlinks::lists(state));
    // Write the lists first, because the table must not point at a folder without lists.
    symlinks::write(lake, state, &lists).await?;
    let mut applied = apply_table(client, database, &table).await?;
    applied.lists = Some(lists.len() as u64);
    // A table without partitions has one list and needs no partitions in the catalog.
    if !state.partition_by.is_empty() {
        applied.partitions = Some(partitions::apply(client, database, &table, &lists).await?.to_string());
    }
    Ok(applied)
}
