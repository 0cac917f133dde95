//! Tables of a lake in the AWS Glue Data Catalog, where Athena, Spark on EMR and others find them by name.
//!
//! A definition says where a table lies and that it is a Delta table; its rows are found by the Delta log, so that it need not
//! change when rows do. Columns are in it for those who look at the catalog alone. The form is the one of the Athena guide,
//! "Synchronize Delta Lake metadata".

use std::collections::HashMap;

use aws_sdk_glue::Client;
use aws_sdk_glue::config::http::HttpResponse;
use aws_sdk_glue::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_glue::types::{Column, DatabaseInput, SerDeInfo, StorageDescriptor, TableInput};
use lakewright_common::error::{Error, Result};
use serde_json::{Value, json};

use crate::lake::column::hive_type;
use crate::lake::manifest::TableState;

/// What a table is called in the catalog, where it lies, and what it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Definition {
    pub(crate) name: String,
    /// Ends with `/`.
    pub(crate) location: String,
    /// Names and Hive's types, partition columns among them.
    columns: Vec<(String, String)>,
}

/// What became of a table's definition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    Created,
    Updated,
    Unchanged,
}

impl Change {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Unchanged => "unchanged",
        }
    }
}

impl Definition {
    /// That of a table below the lake's URL, which ends with `/`.
    pub(crate) fn new(lake: &str, table: &TableState) -> Self {
        // Catalogs know one case only.
        let columns = table.columns.list.iter();
        let columns = columns.map(|column| (column.name.to_lowercase(), hive_type(&column.data_type))).collect();
        Self { name: table.name.to_lowercase(), location: format!("{lake}{}/", table.name), columns }
    }

    /// The statement for Athena, which reads the columns from the Delta log.
    pub(crate) fn statement(&self, database: &str) -> String {
        format!(
            "CREATE EXTERNAL TABLE `{database}`.`{}`\nLOCATION '{}'\nTBLPROPERTIES ('table_type' = 'DELTA');\n",
            self.name,
            self.location.replace('\'', "''")
        )
    }

    /// As `aws glue create-table --cli-input-json` takes it.
    pub(crate) fn json(&self, database: &str) -> Value {
        let columns: Vec<Value> =
            self.columns.iter().map(|(name, kind)| json!({ "Name": name, "Type": kind })).collect();
        json!({
            "DatabaseName": database,
            "TableInput": {
                "Name": self.name,
                "TableType": TABLE_TYPE,
                "Parameters": parameters(),
                "PartitionKeys": [],
                "StorageDescriptor": {
                    "Columns": columns,
                    "Location": self.location,
                    "SerdeInfo": { "Parameters": self.serde_parameters() },
                },
            },
        })
    }

    fn serde_parameters(&self) -> HashMap<String, String> {
        let parameters = [("serialization.format", "1"), ("path", &self.location)];
        parameters.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
    }

    fn input(&self) -> Result<TableInput> {
        let columns: std::result::Result<Vec<_>, _> =
            self.columns.iter().map(|(name, kind)| Column::builder().name(name).r#type(kind).build()).collect();
        let unusable =
            |e| Error::internal(format!("the definition of table `{}` cannot be made", self.name)).caused_by(e);
        let storage = StorageDescriptor::builder()
            .set_columns(Some(columns.map_err(unusable)?))
            .location(&self.location)
            .serde_info(SerDeInfo::builder().set_parameters(Some(self.serde_parameters())).build())
            .build();
        TableInput::builder()
            .name(&self.name)
            .table_type(TABLE_TYPE)
            .set_parameters(Some(parameters()))
            .set_partition_keys(Some(vec![]))
            .storage_descriptor(storage)
            .build()
            .map_err(unusable)
    }
}

const TABLE_TYPE: &str = "EXTERNAL_TABLE";

fn parameters() -> HashMap<String, String> {
    let parameters = [("EXTERNAL", "TRUE"), ("spark.sql.sources.provider", "delta"), ("classification", "delta")];
    parameters.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

/// Makes the database if there is none.
///
/// # Errors
/// Storage, naming the database.
pub(crate) async fn ensure_database(client: &Client, database: &str) -> Result<()> {
    let name = format!("database `{database}` of the Glue catalog");
    match client.get_database().name(database).send().await {
        Ok(_) => return Ok(()),
        Err(error) if is(&error, "EntityNotFoundException") => {}
        Err(error) => return Err(failure("look for", &name, &error)),
    }
    let input = DatabaseInput::builder().name(database).description("Made by Lakewright").build();
    let input = input.map_err(|e| Error::internal("a database cannot be described").caused_by(e))?;
    match client.create_database().database_input(input).send().await {
        Ok(_) => Ok(()),
        // Another process was faster.
        Err(error) if is(&error, "AlreadyExistsException") => Ok(()),
        Err(error) => Err(failure("make", &name, &error)),
    }
}

/// Makes the table's definition, or makes it what it should be.
///
/// # Errors
/// Configuration, for a table of that name somewhere else; storage, naming the table.
pub(crate) async fn apply(client: &Client, database: &str, definition: &Definition) -> Result<Change> {
    let name = format!("table `{database}.{}` of the Glue catalog", definition.name);
    let there = match client.get_table().database_name(database).name(&definition.name).send().await {
        Ok(found) => found.table,
        Err(error) if is(&error, "EntityNotFoundException") => None,
        Err(error) => return Err(failure("look for", &name, &error)),
    };
    let input = definition.input()?;
    let Some(there) = there else {
        let create = client.create_table().database_name(database).table_input(input).send().await;
        create.map_err(|error| failure("make", &name, &error))?;
        return Ok(Change::Created);
    };
    let storage = there.storage_descriptor();
    let location = storage.and_then(StorageDescriptor::location).unwrap_or_default();
    if location.trim_end_matches('/') != definition.location.trim_end_matches('/') {
        return Err(Error::configuration(format!("{name} is one at `{location}`, not this lake's"))
            .hint("choose another `--database`, or drop that table"));
    }
    let is_same = storage.map(StorageDescriptor::columns) == input.storage_descriptor().map(StorageDescriptor::columns)
        && parameters().iter().all(|(key, value)| there.parameters().and_then(|set| set.get(key)) == Some(value));
    if is_same {
        return Ok(Change::Unchanged);
    }
    let update = client.update_table().database_name(database).table_input(input).send().await;
    update.map_err(|error| failure("update", &name, &error))?;
    Ok(Change::Updated)
}

fn is<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>, code: &str) -> bool {
    error.code() == Some(code)
}

fn failure<E: ProvideErrorMetadata>(operation: &str, what: &str, error: &SdkError<E, HttpResponse>) -> Error {
    let said = match (error.code(), error.message()) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(code), None) => code.to_owned(),
        (None, _) => "the Glue service cannot be reached, or there are no credentials".to_owned(),
    };
    let hint = if is(error, "AccessDeniedException") {
        "the credentials need glue:GetDatabase, glue:CreateDatabase, glue:GetTable, glue:CreateTable and glue:UpdateTable"
    } else {
        "look at AWS_REGION, AWS_PROFILE and, for a server of your own, AWS_ENDPOINT_URL_GLUE"
    };
    Error::storage_failure(format!("cannot {operation} {what}")).caused_by(said).hint(hint)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::lake::fixture;

    #[test]
    fn a_definition_says_where_the_table_lies_and_that_it_is_of_delta() {
        let manifest = fixture::manifest(1, &[("Songs", &["year=1999/a.parquet"])]);
        let definition = Definition::new("s3://analytics/lake/", &manifest.tables[0]);
        assert_eq!(
            definition.statement("music"),
            "CREATE EXTERNAL TABLE `music`.`songs`\nLOCATION 's3://analytics/lake/Songs/'\n\
             TBLPROPERTIES ('table_type' = 'DELTA');\n"
        );
        let json = definition.json("music");
        assert_eq!(json["TableInput"]["StorageDescriptor"]["Location"], "s3://analytics/lake/Songs/");
        assert_eq!(
            json["TableInput"]["StorageDescriptor"]["SerdeInfo"]["Parameters"]["path"],
            "s3://analytics/lake/Songs/"
        );
        assert_eq!(json["TableInput"]["Parameters"]["spark.sql.sources.provider"], "delta");
        // What is printed and what is applied are the same.
        let input = definition.input().unwrap();
        assert_eq!(input.name(), json["TableInput"]["Name"]);
        assert_eq!(input.parameters(), Some(&parameters()));
        let names: Vec<&str> = input.storage_descriptor().unwrap().columns().iter().map(Column::name).collect();
        let printed = json["TableInput"]["StorageDescriptor"]["Columns"].as_array().unwrap();
        assert_eq!(names, printed.iter().map(|column| column["Name"].as_str().unwrap()).collect::<Vec<_>>());
    }
}
