//! `catalog`: the tables as AWS Glue knows tables, printed or put there.

use aws_sdk_glue::Client;
use lakewright_common::config::resolved::Config;
use lakewright_common::error::{Error, Result};
use lakewright_common::storage::{Storage, s3};

use super::print;
use super::query::View;
use crate::glue::definition::Definition;
use crate::glue::{partitions, symlinks, tables};
use crate::lake::manifest::TableState;

/// What is done with the definitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Catalog {
    /// Printed as statements for Athena.
    Statements,
    /// Printed as the input of `aws glue create-table`, one a line.
    Json,
    /// Put into the catalog.
    Apply,
    /// Put into the catalog as tables that are read by lists of their files, which are written first.
    ApplySymlinks,
}

/// Prints or applies the definitions of the newest version's tables.
///
/// # Errors
/// Configuration, for a lake that is not on S3, or a table of that name elsewhere; storage.
pub(super) async fn catalog(config: &Config, database: &str, what: Catalog) -> Result<()> {
    if config.lake.scheme() != "s3" {
        return Err(Error::configuration(format!("the lake `{}` is not on S3", config.lake))
            .hint("who reads by the Glue catalog reads from S3: set `[lake] url` to `s3://bucket/prefix`"));
    }
    let view = View::open(config, None).await?;
    let lake = view.lake.name_of("");
    let tables = view.manifest.tables.iter();
    match what {
        Catalog::Statements => {
            let texts = tables.map(|table| Definition::of_delta(&lake, table).statement(database));
            print(texts.collect::<String>().as_bytes())
        }
        Catalog::Json => {
            let texts = tables.map(|table| format!("{}\n", Definition::of_delta(&lake, table).json(database)));
            print(texts.collect::<String>().as_bytes())
        }
        Catalog::Apply | Catalog::ApplySymlinks => {
            let client = Client::new(&s3::sdk_config(&config.location(&config.lake).bucket).await);
            tables::ensure_database(&client, database).await?;
            for table in tables {
                // As they are done, so that it is known how far it came.
                let line = if what == Catalog::Apply {
                    apply(&client, database, &Definition::of_delta(&lake, table)).await?
                } else {
                    apply_symlinks(&client, database, &view.lake, table).await?
                };
                print(format!("{line}\n").as_bytes())?;
            }
            Ok(())
        }
    }
}

async fn apply(client: &Client, database: &str, table: &Definition) -> Result<String> {
    let change = tables::apply(client, database, table).await?;
    Ok(format!("{database}.{}  {}  {}", table.name, change.as_str(), table.location))
}

async fn apply_symlinks(client: &Client, database: &str, lake: &Storage, state: &TableState) -> Result<String> {
    let (table, lists) = (Definition::of_symlinks(&lake.name_of(""), state), symlinks::lists(state));
    symlinks::write(lake, state, &lists).await?;
    let line = apply(client, database, &table).await?;
    if state.partition_by.is_empty() {
        return Ok(format!("{line}  1 list written"));
    }
    let changes = partitions::apply(client, database, &table, &lists).await?;
    Ok(format!("{line}  {} lists written; partitions: {changes}", lists.len()))
}
