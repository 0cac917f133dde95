//! Definition of a table for the catalog: its location, its columns, and how it is read.
//!
//! A definition has one of two forms. A Delta table (Athena guide, "Synchronize Delta Lake
//! metadata") is read by its Delta log, so its definition need not change when rows do. A table of
//! listed Parquet files is for readers without Delta support (Delta's guide, "Redshift Spectrum
//! connector").

use std::collections::HashMap;

use aws_sdk_glue::error::BuildError;
use aws_sdk_glue::types::{Column, SerDeInfo, StorageDescriptor, TableInput};
use lakewright_common::error::{Error, Result};
use serde_json::{Value, json};

use super::symlinks;
use crate::lake::column::hive_type;
use crate::lake::manifest::TableState;
use crate::query_text::literal;

/// Definition of one table for the catalog, in one of the two forms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Definition {
    pub(crate) name: String,
    /// URL of the table's folder, or of the folder of its lists if it is read by lists. Ends with
    /// `/`.
    pub(crate) location: String,
    form: Form,
    /// Name and Hive type of each column, except the partition keys.
    columns: Vec<(String, String)>,
    /// Name and Hive type of each column that is stored in folder names and not in files. Empty for
    /// a Delta table, whose partition columns are in `columns`.
    partition_keys: Vec<(String, String)>,
}

/// How a reader finds a table's rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Delta,
    Symlinks,
}

impl Definition {
    /// Builds the definition of a table as a Delta table. `lake` is the URL of the lake, with a `/`
    /// at the end.
    pub(crate) fn of_delta(lake: &str, table: &TableState) -> Self {
        let columns = columns(table).map(|(_, column)| column).collect();
        Self::new(table, Form::Delta, format!("{lake}{}/", table.name), columns, vec![])
    }

    /// Builds the definition of a table that is read by lists of its files. `lake` is the URL of
    /// the lake, with a `/` at the end.
    pub(crate) fn of_symlinks(lake: &str, table: &TableState) -> Self {
        let (keys, rest): (Vec<_>, Vec<_>) = columns(table).partition(|(name, _)| table.partition_by.contains(name));
        let of_key = |wanted: &String| keys.iter().find(|(name, _)| name == wanted).map(|(_, column)| column.clone());
        let partition_keys = table.partition_by.iter().filter_map(of_key).collect();
        let location = format!("{lake}{}/{}/", table.name, symlinks::FOLDER);
        Self::new(table, Form::Symlinks, location, rest.into_iter().map(|(_, column)| column).collect(), partition_keys)
    }

    fn new(
        table: &TableState,
        form: Form,
        location: String,
        columns: Vec<(String, String)>,
        partition_keys: Vec<(String, String)>,
    ) -> Self {
        // The catalog stores names in lower case only.
        Self { name: table.name.to_lowercase(), location, form, columns, partition_keys }
    }

    /// Builds the `CREATE EXTERNAL TABLE` statement for Athena. It names no columns, because Athena
    /// reads the columns of a Delta table from its log.
    pub(crate) fn statement(&self, database: &str) -> String {
        format!(
            "CREATE EXTERNAL TABLE `{database}`.`{}`\nLOCATION {}\nTBLPROPERTIES ('table_type' = 'DELTA');\n",
            self.name,
            literal(&self.location)
        )
    }

    /// Builds the definition of a Delta table for `aws glue create-table --cli-input-json`.
    pub(crate) fn json(&self, database: &str) -> Value {
        let columns: Vec<Value> =
            self.columns.iter().map(|(name, kind)| json!({ "Name": name, "Type": kind })).collect();
        json!({
            "DatabaseName": database,
            "TableInput": {
                "Name": self.name,
                "TableType": TABLE_TYPE,
                "Parameters": self.parameters(),
                // Partition columns of a Delta table are ordinary columns here, because its log
                // says how it is partitioned.
                "PartitionKeys": [],
                "StorageDescriptor": {
                    "Columns": columns,
                    "Location": self.location,
                    "SerdeInfo": { "Parameters": self.serde_parameters() },
                },
            },
        })
    }

    /// Builds the definition in the form that the Glue client sends.
    pub(super) fn input(&self) -> Result<TableInput> {
        TableInput::builder()
            .name(&self.name)
            .table_type(TABLE_TYPE)
            .set_parameters(Some(self.parameters()))
            .set_partition_keys(Some(self.glue_columns(&self.partition_keys)?))
            .storage_descriptor(self.storage(&self.location)?)
            .build()
            .map_err(|e| self.unusable(e))
    }

    /// Describes how rows are read at `location`, the location of the table or of one of its
    /// partitions.
    pub(super) fn storage(&self, location: &str) -> Result<StorageDescriptor> {
        let storage =
            StorageDescriptor::builder().set_columns(Some(self.glue_columns(&self.columns)?)).location(location);
        let serde = SerDeInfo::builder();
        Ok(match self.form {
            Form::Delta => storage.serde_info(serde.set_parameters(Some(self.serde_parameters())).build()).build(),
            Form::Symlinks => storage
                .input_format("org.apache.hadoop.hive.ql.io.SymlinkTextInputFormat")
                .output_format("org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat")
                .serde_info(
                    serde.serialization_library("org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe").build(),
                )
                .build(),
        })
    }

    fn parameters(&self) -> HashMap<String, String> {
        let of_form: &[(&str, &str)] = match self.form {
            Form::Delta => &[("spark.sql.sources.provider", "delta"), ("classification", "delta")],
            Form::Symlinks => &[("classification", "parquet")],
        };
        let parameters = of_form.iter().chain(&[("EXTERNAL", "TRUE")]);
        parameters.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn serde_parameters(&self) -> HashMap<String, String> {
        let parameters = [("serialization.format", "1"), ("path", &self.location)];
        parameters.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
    }

    fn glue_columns(&self, columns: &[(String, String)]) -> Result<Vec<Column>> {
        let columns = columns.iter().map(|(name, kind)| Column::builder().name(name).r#type(kind).build());
        columns.collect::<std::result::Result<_, _>>().map_err(|e| self.unusable(e))
    }

    fn unusable(&self, error: BuildError) -> Error {
        Error::internal(format!("cannot build the definition of table `{}`", self.name)).caused_by(error)
    }
}

const TABLE_TYPE: &str = "EXTERNAL_TABLE";

/// Returns the name of each column, with its lower-case name and Hive type for the catalog.
fn columns(table: &TableState) -> impl Iterator<Item = (String, (String, String))> {
    let columns = table.columns.list.iter();
    columns.map(|column| (column.name.clone(), (column.name.to_lowercase(), hive_type(&column.data_type))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lake::fixture;

    #[test]
    fn a_definition_says_where_the_table_lies_and_that_it_is_of_delta() {
        let manifest = fixture::manifest(1, &[("Songs", &["year=1999/a.parquet"])]);
        let definition = Definition::of_delta("s3://analytics/lake/", &manifest.tables[0]);
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
        // The printed definition equals the one that is sent to the catalog.
        let input = definition.input().unwrap();
        assert_eq!(input.name(), json["TableInput"]["Name"]);
        assert_eq!(input.parameters(), Some(&definition.parameters()));
        let names: Vec<&str> = input.storage_descriptor().unwrap().columns().iter().map(Column::name).collect();
        let printed = json["TableInput"]["StorageDescriptor"]["Columns"].as_array().unwrap();
        assert_eq!(names, printed.iter().map(|column| column["Name"].as_str().unwrap()).collect::<Vec<_>>());
    }

    #[test]
    fn by_lists_a_table_has_what_it_is_partitioned_by_apart() {
        let manifest = fixture::manifest(1, &[("Songs", &["year=1999/a.parquet"])]);
        let input = Definition::of_symlinks("s3://analytics/lake/", &manifest.tables[0]).input().unwrap();
        let storage = input.storage_descriptor().unwrap();
        assert_eq!(storage.location(), Some("s3://analytics/lake/Songs/_symlink_format_manifest/"));
        let names = |columns: &[Column]| columns.iter().map(|column| column.name().to_owned()).collect::<Vec<_>>();
        assert_eq!(names(storage.columns()), ["title"]);
        assert_eq!(names(input.partition_keys()), ["year"]);
        assert!(storage.input_format().unwrap().ends_with(".SymlinkTextInputFormat"));
    }
}
