//! Creates the database and its tables in the catalog if they do not exist. Updates a table that
//! differs from its definition.

use aws_sdk_glue::Client;
use aws_sdk_glue::types::{DatabaseInput, StorageDescriptor, Table, TableInput};
use lakewright_common::error::{Context, Error, Result};

use super::failure::{failure, is};
use super::input::table_input;
use super::partitions;
use crate::glue::definition::Definition;

/// Change that [`apply`] made to a table's definition in the catalog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Created,
    Updated,
    Unchanged,
}

impl Change {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Unchanged => "unchanged",
        }
    }
}

/// Creates the database if it does not exist.
///
/// # Errors
/// A storage error that names the database.
pub(super) async fn ensure_database(client: &Client, database: &str) -> Result<()> {
    let name = format!("database `{database}` of the Glue catalog");
    match client.get_database().name(database).send().await {
        Ok(_) => return Ok(()),
        Err(error) if is(&error, "EntityNotFoundException") => {}
        Err(error) => return Err(failure("look for", &name, &error)),
    }
    let input = DatabaseInput::builder().name(database).description("Made by Lakewright").build();
    let input = input.context(|| Error::internal("cannot build the definition of a database"))?;
    match client.create_database().database_input(input).send().await {
        Ok(_) => Ok(()),
        // Another process created the database in the meantime.
        Err(error) if is(&error, "AlreadyExistsException") => Ok(()),
        Err(error) => Err(failure("create", &name, &error)),
    }
}

/// Creates the table in the catalog, or updates it if it differs from `definition`.
///
/// # Errors
/// A configuration error if the catalog has a table of the same name at another location. A storage
/// error that names the table.
pub(super) async fn apply(client: &Client, database: &str, definition: &Definition) -> Result<Change> {
    let name = format!("table `{database}.{}` of the Glue catalog", definition.name);
    let there = match client.get_table().database_name(database).name(&definition.name).send().await {
        Ok(found) => found.table,
        Err(error) if is(&error, "EntityNotFoundException") => None,
        Err(error) => return Err(failure("look for", &name, &error)),
    };
    let input = table_input(definition)?;
    let Some(there) = there else {
        let create = client.create_table().database_name(database).table_input(input).send().await;
        create.map_err(|error| failure("create", &name, &error))?;
        return Ok(Change::Created);
    };
    let storage = there.storage_descriptor();
    let location = storage.and_then(StorageDescriptor::location).unwrap_or_default();
    // Some programs store a location without the `/` at the end.
    if location.trim_end_matches('/') != definition.location.trim_end_matches('/') {
        return Err(Error::configuration(format!("{name} is another one, at `{location}`"))
            .hint("choose another `--database`, or drop that table; with and without `--symlinks` are two databases"));
    }
    if is_as(&there, &input) {
        return Ok(Change::Unchanged);
    }
    if there.partition_keys() != input.partition_keys() {
        // The partition keys changed, so the existing partitions have no meaning. Delete them.
        partitions::apply(client, database, definition, &[]).await?;
    }
    let update = client.update_table().database_name(database).table_input(input).send().await;
    update.map_err(|error| failure("update", &name, &error))?;
    Ok(Change::Updated)
}

/// Returns whether `there`, the table in the catalog, has the columns, format, partition keys and
/// parameters of `input`. It may have further parameters, which other programs added.
fn is_as(there: &Table, input: &TableInput) -> bool {
    let set = |key| there.parameters().and_then(|parameters| parameters.get(key));
    let (found, wanted) = (there.storage_descriptor(), input.storage_descriptor());
    found.map(StorageDescriptor::columns) == wanted.map(StorageDescriptor::columns)
        && found.and_then(StorageDescriptor::input_format) == wanted.and_then(StorageDescriptor::input_format)
        && there.partition_keys() == input.partition_keys()
        && input.parameters().into_iter().flatten().all(|(key, value)| set(key) == Some(value))
}
