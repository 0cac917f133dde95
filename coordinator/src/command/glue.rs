//! `catalog`: prints the tables as definitions for AWS Glue, or puts them into the Glue Data
//! Catalog.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray, UInt64Array};
use aws_sdk_glue::Client;
use lakewright_common::config::resolved::Config;
use lakewright_common::error::{Error, Result};
use lakewright_common::storage::{Storage, s3};

use super::print::{print, print_columns};
use super::query::View;
use crate::glue::definition::Definition;
use crate::glue::{partitions, symlinks, tables};
use crate::lake::manifest::TableState;
use crate::output::Format;

/// Destination of the definitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Catalog {
    /// Prints statements for Athena. With JSON, prints the input of `aws glue create-table`, one
    /// table per line.
    Print,
    /// Puts Delta tables into the catalog.
    Apply,
    /// Writes lists of each table's files, and puts tables into the catalog that are read by these
    /// lists.
    ApplySymlinks,
}

/// A table that was put into the catalog.
struct AppliedTable {
    /// `<database>.<table>`
    name: String,
    change: &'static str,
    location: String,
    /// Number of lists that were written; `None` without `--symlinks`.
    lists: Option<u64>,
    /// Changes of the table's partitions in the catalog; `None` for a table without partitions or
    /// without `--symlinks`.
    partitions: Option<String>,
}

/// Prints or applies the definitions of the newest version's tables.
///
/// # Errors
/// A configuration error for a lake that is not on S3, a table of that name elsewhere, or a format
/// in which definitions cannot be printed. A storage error.
pub(super) async fn catalog(config: &Config, database: &str, what: Catalog, format: Format) -> Result<()> {
    if config.lake.scheme() != "s3" {
        return Err(Error::configuration(format!("the lake `{}` is not on S3", config.lake))
            .hint("readers of the Glue catalog read from S3: set `[lake] url` to `s3://bucket/prefix`"));
    }
    let view = View::open(config, None).await?;
    if what == Catalog::Print {
        return print(definitions(&view, database, format)?.as_bytes());
    }
    let client = Client::new(&s3::sdk_config(&config.location(&config.lake).bucket).await);
    tables::ensure_database(&client, database).await?;
    let (mut applied, mut failure) = (Vec::new(), None);
    for table in &view.manifest.tables {
        let outcome = match what {
            Catalog::ApplySymlinks => apply_symlinks(&client, database, &view.lake, table).await,
            _ => apply(&client, database, &Definition::of_delta(&view.lake.name_of(""), table)).await,
        };
        match outcome {
            Ok(table) => applied.push(table),
            Err(error) => {
                // Stop here: the remaining tables would probably fail in the same way.
                failure = Some(error);
                break;
            }
        }
    }
    // Print after a failure too, to show which tables are done.
    if format == Format::Table {
        print(applied.iter().map(line).collect::<String>().as_bytes())?;
    } else {
        print_columns(columns(&applied), format)?;
    }
    failure.map_or(Ok(()), Err)
}

fn definitions(view: &View, database: &str, format: Format) -> Result<String> {
    let lake = view.lake.name_of("");
    let definitions = view.manifest.tables.iter().map(|table| Definition::of_delta(&lake, table));
    match format {
        Format::Table => Ok(definitions.map(|definition| definition.statement(database)).collect()),
        Format::Json | Format::JsonLines => {
            Ok(definitions.map(|definition| format!("{}\n", definition.json(database))).collect())
        }
        // Definitions are statements or requests, and not rows.
        Format::Csv | Format::Markdown => Err(Error::configuration("definitions are printed as SQL or JSON only")
            .hint("use `--json`, or leave the format out")),
    }
}

async fn apply(client: &Client, database: &str, table: &Definition) -> Result<AppliedTable> {
    let change = tables::apply(client, database, table).await?.as_str();
    let name = format!("{database}.{}", table.name);
    Ok(AppliedTable { name, change, location: table.location.clone(), lists: None, partitions: None })
}

async fn apply_symlinks(client: &Client, database: &str, lake: &Storage, state: &TableState) -> Result<AppliedTable> {
    let (table, lists) = (Definition::of_symlinks(&lake.name_of(""), state), symlinks::lists(state));
    // Write the lists first, because the table must not point at a folder without lists.
    symlinks::write(lake, state, &lists).await?;
    let mut applied = apply(client, database, &table).await?;
    applied.lists = Some(lists.len() as u64);
    // A table without partitions has exactly one list, in its own folder.
    if !state.partition_by.is_empty() {
        applied.partitions = Some(partitions::apply(client, database, &table, &lists).await?.to_string());
    }
    Ok(applied)
}

fn line(table: &AppliedTable) -> String {
    let AppliedTable { name, change, location, lists, partitions } = table;
    let mut line = format!("{name}  {change}  {location}");
    match (lists, partitions) {
        (Some(lists), Some(partitions)) => {
            line.push_str(&format!("  {lists} lists written; partitions: {partitions}"));
        }
        (Some(_), None) => line.push_str("  1 list written"),
        (None, _) => {}
    }
    line.push('\n');
    line
}

fn columns(tables: &[AppliedTable]) -> Vec<(&'static str, ArrayRef)> {
    let text = |value: fn(&AppliedTable) -> Option<&str>| -> ArrayRef {
        Arc::new(tables.iter().map(value).collect::<StringArray>())
    };
    vec![
        ("table", text(|table| Some(&table.name))),
        ("change", text(|table| Some(table.change))),
        ("location", text(|table| Some(&table.location))),
        ("lists", Arc::new(UInt64Array::from_iter(tables.iter().map(|table| table.lists)))),
        ("partitions", text(|table| table.partitions.as_deref())),
    ]
}
