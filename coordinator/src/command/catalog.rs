//! `catalog`: the tables as AWS Glue knows tables, printed or put there.

use std::fmt::Write as _;

use lakewright_common::config::resolved::Config;
use lakewright_common::error::{Error, Result};
use lakewright_common::storage::s3;

use super::print;
use super::query::View;
use crate::glue::{self, Definition};

/// What is done with the definitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Catalog {
    /// Printed as statements for Athena.
    Statements,
    /// Printed as the input of `aws glue create-table`, one a line.
    Json,
    /// Put into the catalog.
    Apply,
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
    let lake = config.lake.as_str();
    let definitions: Vec<Definition> = view.manifest.tables.iter().map(|table| Definition::new(lake, table)).collect();
    let mut text = String::new();
    match what {
        Catalog::Statements => definitions.iter().for_each(|table| text.push_str(&table.statement(database))),
        Catalog::Json => definitions.iter().for_each(|table| {
            let _ = writeln!(text, "{}", table.json(database));
        }),
        Catalog::Apply => {
            let shared = s3::sdk_config(&config.location(&config.lake).bucket).await;
            let client = aws_sdk_glue::Client::new(&shared);
            glue::ensure_database(&client, database).await?;
            for table in &definitions {
                let change = glue::apply(&client, database, table).await?;
                let _ = writeln!(text, "{database}.{}  {}  {}", table.name, change.as_str(), table.location);
            }
        }
    }
    print(text.as_bytes())
}
