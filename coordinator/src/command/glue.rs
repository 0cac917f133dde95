//! `catalog`: prints the tables as definitions for AWS Glue, or puts them into the Glue Data
//! Catalog.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray, UInt64Array};
use lakewright_common::config::resolved::Config;
use lakewright_common::error::{Error, Result};

use super::print::{print, print_columns};
use crate::glue::definition::Definition;
use crate::glue::{self, AppliedTable};
use crate::output::Format;
use crate::view::View;

/// Action of the command `catalog`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Catalog {
    /// Prints statements for Athena. With JSON, prints the input of `aws glue create-table`, one
    /// table per line.
    Print,
    /// Puts Delta tables into the catalog.
    Apply,
    /// Writes lists of each table's Parquet files to the lake, and puts the tables into the
    /// catalog. Readers then find the files through the lists.
    ApplySymlinks,
}

/// Prints or applies the definitions of the newest version's tables.
///
/// # Errors
/// A configuration error if the lake is not on S3, if the catalog has a table of the same name at
/// another location, or if definitions cannot be printed in `format`. A storage error.
pub(super) async fn catalog(config: &Config, database: &str, what: Catalog, format: Format) -> Result<()> {
    if config.lake.scheme() != "s3" {
        return Err(Error::configuration(format!("the lake `{}` is not on S3", config.lake))
            .hint("readers of the Glue catalog read from S3: set `[lake] url` to `s3://bucket/prefix`"));
    }
    let view = View::open(config, None).await?;
    if what == Catalog::Print {
        return print(definitions(&view, database, format)?.as_bytes());
    }
    let bucket = config.location(&config.lake).bucket;
    let by_lists = what == Catalog::ApplySymlinks;
    let applied = glue::apply(&bucket, database, &view.lake, &view.manifest.tables, by_lists).await?;
    // Print after a failure too, to show which tables are done.
    if format == Format::Table {
        print(applied.tables.iter().map(line).collect::<String>().as_bytes())?;
    } else {
        print_columns(columns(&applied.tables), format)?;
    }
    applied.failure.map_or(Ok(()), Err)
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
