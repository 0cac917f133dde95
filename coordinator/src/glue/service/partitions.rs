//! Updates a table's partitions in the Glue Data Catalog, if the table is read through lists of its
//! files (`symlinks`). A reader sees only the partitions that the catalog names.

use std::collections::HashMap;
use std::fmt;

use aws_sdk_glue::Client;
use aws_sdk_glue::types::{
    BatchUpdatePartitionRequestEntry, ErrorDetail, Partition, PartitionInput, PartitionValueList, StorageDescriptor,
};
use lakewright_common::error::{Context, Error, Result};

use super::failure::failure;
use super::input;
use crate::glue::definition::Definition;
use crate::glue::symlinks::List;

/// Maximum number of partitions in a `BatchCreatePartition` or `BatchUpdatePartition` request.
const PUT_AT_ONCE: usize = 100;
/// Maximum number of partitions in a `BatchDeletePartition` request.
const DELETED_AT_ONCE: usize = 25;

/// Numbers of partitions that were changed in the catalog.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Changes {
    created: usize,
    updated: usize,
    deleted: usize,
}

impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} created, {} updated, {} deleted", self.created, self.updated, self.deleted)
    }
}

/// Makes the table's partitions in the catalog equal to `lists`, which must already be written to
/// storage. If `lists` is empty, deletes all partitions of the table.
///
/// # Errors
/// A storage error that names the table.
pub(super) async fn apply(client: &Client, database: &str, definition: &Definition, lists: &[List]) -> Result<Changes> {
    // Treat every partition in the catalog as deleted until a list with its values is found.
    let mut gone = there(client, database, definition).await?;
    let (mut missing, mut stale) = (vec![], vec![]);
    for list in lists {
        let storage = input::storage(definition, &format!("{}{}", definition.location, list.folder))?;
        let found = gone.remove(&list.values);
        let is_same = |found: &Partition| {
            let found = found.storage_descriptor();
            found.map(StorageDescriptor::columns) == Some(storage.columns())
                && found.and_then(StorageDescriptor::location) == storage.location()
        };
        let changed = || {
            let values = Some(list.values.clone());
            PartitionInput::builder().set_values(values).storage_descriptor(storage.clone()).build()
        };
        match found {
            None => missing.push(changed()),
            Some(found) if !is_same(&found) => stale.push(changed()),
            Some(_) => {}
        }
    }
    let gone: Vec<_> = gone.into_keys().collect();
    // Create before deleting, so that a failure in between leaves a reader with more partitions and
    // not with fewer.
    create(client, database, definition, &missing).await?;
    update(client, database, definition, &stale).await?;
    delete(client, database, definition, &gone).await?;
    Ok(Changes { created: missing.len(), updated: stale.len(), deleted: gone.len() })
}

/// Reads the table's partitions from the catalog into a map, keyed by their partition values.
async fn there(client: &Client, database: &str, definition: &Definition) -> Result<HashMap<Vec<String>, Partition>> {
    let mut there = HashMap::new();
    let pages = client.get_partitions().database_name(database).table_name(&definition.name);
    let mut pages = pages.into_paginator().send();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| failure("list", &name(database, definition), &error))?;
        let partitions = page.partitions.unwrap_or_default().into_iter();
        there.extend(partitions.map(|partition| (partition.values().to_vec(), partition)));
    }
    Ok(there)
}

async fn create(client: &Client, database: &str, definition: &Definition, missing: &[PartitionInput]) -> Result<()> {
    for some in missing.chunks(PUT_AT_ONCE) {
        let request = client.batch_create_partition().database_name(database).table_name(&definition.name);
        let answer = request.set_partition_input_list(Some(some.to_vec())).send().await;
        let answer = answer.map_err(|error| failure("make", &name(database, definition), &error))?;
        // Another process may have created the partition.
        let details = answer.errors().iter().filter_map(|error| error.error_detail());
        all_done(database, definition, details.filter(|error| error.error_code() != Some("AlreadyExistsException")))?;
    }
    Ok(())
}

async fn update(client: &Client, database: &str, definition: &Definition, stale: &[PartitionInput]) -> Result<()> {
    for some in stale.chunks(PUT_AT_ONCE) {
        let entries = some.iter().map(|input| {
            let values = Some(input.values().to_vec());
            let entry = BatchUpdatePartitionRequestEntry::builder().set_partition_value_list(values);
            entry.partition_input(input.clone()).build()
        });
        let entries = entries.collect::<std::result::Result<Vec<_>, _>>();
        let entries = entries.context(|| Error::internal("cannot build the definition of a partition"))?;
        let request = client.batch_update_partition().database_name(database).table_name(&definition.name);
        let answer = request.set_entries(Some(entries)).send().await;
        let answer = answer.map_err(|error| failure("update", &name(database, definition), &error))?;
        all_done(database, definition, answer.errors().iter().filter_map(|error| error.error_detail()))?;
    }
    Ok(())
}

async fn delete(client: &Client, database: &str, definition: &Definition, gone: &[Vec<String>]) -> Result<()> {
    for some in gone.chunks(DELETED_AT_ONCE) {
        let values = some.iter().map(|values| PartitionValueList::builder().set_values(Some(values.clone())).build());
        let values = values.collect::<std::result::Result<Vec<_>, _>>();
        let values = values.context(|| Error::internal("cannot build the definition of a partition"))?;
        let request = client.batch_delete_partition().database_name(database).table_name(&definition.name);
        let answer = request.set_partitions_to_delete(Some(values)).send().await;
        let answer = answer.map_err(|error| failure("remove", &name(database, definition), &error))?;
        // Another process may have deleted it already.
        let details = answer.errors().iter().filter_map(|error| error.error_detail());
        all_done(database, definition, details.filter(|error| error.error_code() != Some("EntityNotFoundException")))?;
    }
    Ok(())
}

/// Returns an error if the service refused any partition. The status of the response is 200 even
/// then.
fn all_done<'a>(
    database: &str,
    definition: &Definition,
    mut refused: impl Iterator<Item = &'a ErrorDetail>,
) -> Result<()> {
    let Some(first) = refused.next() else { return Ok(()) };
    let said = format!("{}: {}", first.error_code().unwrap_or("?"), first.error_message().unwrap_or("no reason given"));
    Err(Error::storage_failure(format!("cannot change {}", name(database, definition))).caused_by(said))
}

fn name(database: &str, definition: &Definition) -> String {
    format!("partitions of table `{database}.{}` of the Glue catalog", definition.name)
}
