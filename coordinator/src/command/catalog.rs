//! `catalog`: the tables as AWS Glue knows tables, printed or put there.

use std::fmt::Write as _;

use aws_sdk_glue::Client;
use lakewright_common::config::resolved::Config;
use lakewright_common::error::{Error, Result};
use lakewright_common::storage::s3;

use super::print;
use super::query::View;
use crate::glue::definition::Definition;
use crate::glue::{self, partitions, symlinks};

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
    let text = match what {
        Catalog::Statements => definitions(config, &view).map(|table| table.statement(database)).collect(),
        Catalog::Json => definitions(config, &view).map(|table| format!("{}\n", table.json(database))).collect(),
        Catalog::Apply => apply(config, &view, database).await?,
        Catalog::ApplySymlinks => apply_symlinks(config, &view, database).await?,
    };
    print(text.as_bytes())
}

fn definitions(config: &Config, view: &View) -> impl Iterator<Item = Definition> {
    view.manifest.tables.iter().map(|table| Definition::of_delta(config.lake.as_str(), table))
}

async fn apply(config: &Config, view: &View, database: &str) -> Result<String> {
    let client = client(config).await;
    glue::ensure_database(&client, database).await?;
    let mut text = String::new();
    for table in definitions(config, view) {
        let change = glue::apply(&client, database, &table).await?;
        let _ = writeln!(text, "{database}.{}  {}  {}", table.name, change.as_str(), table.location);
    }
    Ok(text)
}

async fn apply_symlinks(config: &Config, view: &View, database: &str) -> Result<String> {
    let client = client(config).await;
    glue::ensure_database(&client, database).await?;
    let mut text = String::new();
    for state in &view.manifest.tables {
        let (table, lists) = (Definition::of_symlinks(config.lake.as_str(), state), symlinks::lists(state));
        symlinks::write(&view.lake, state, &lists).await?;
        let change = glue::apply(&client, database, &table).await?;
        let _ = write!(text, "{database}.{}  {}  {}", table.name, change.as_str(), table.location);
        if !state.partition_by.is_empty() {
            let changes = partitions::apply(&client, database, &table, &lists).await?;
            let _ = write!(text, "  {} partitions, {changes}", lists.len());
        }
        text.push('\n');
    }
    Ok(text)
}

async fn client(config: &Config) -> Client {
    Client::new(&s3::sdk_config(&config.location(&config.lake).bucket).await)
}
