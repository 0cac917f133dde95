//! Definition of a table for the Glue Data Catalog: its location, its columns, and how it is read.
//!
//! A definition has one of two forms. In the first form (Athena guide, "Synchronize Delta Lake
//! metadata"), the table is a Delta table. Readers find its files through the Delta log, so the
//! definition need not change when rows do. The second form is for readers without Delta support
//! (Delta's guide, "Redshift Spectrum connector"). They find the Parquet files of the table through
//! lists of files in the lake.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::symlinks;
use crate::lake::column::hive_type;
use crate::lake::manifest::TableState;
use crate::query_text::literal;

/// Definition of one table for the catalog, in one of the two forms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Definition {
    pub(crate) name: String,
    /// URL of the folder that readers open, with a `/` at the end. For a Delta table, it is the
    /// table's folder. Otherwise it is the folder with the table's lists of files.
    pub(crate) location: String,
    pub(super) form: Form,
    /// Name and Hive type of each column, except the partition keys.
    pub(super) columns: Vec<(String, String)>,
    /// Name and Hive type of each column that is stored in folder names and not in files. Empty for
    /// a Delta table, whose partition columns are in `columns`.
    pub(super) partition_keys: Vec<(String, String)>,
}

/// Way in which readers find the Parquet files of a table: through its Delta log, or through lists
/// of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
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

    /// Builds the definition of a table that is read through lists of its files. `lake` is the URL
    /// of the lake, with a `/` at the end.
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

    /// Builds the `CREATE EXTERNAL TABLE` statement for Athena. The statement names no columns,
    /// because Athena reads the columns of a Delta table from its log.
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

    pub(super) fn parameters(&self) -> HashMap<String, String> {
        let of_form: &[(&str, &str)] = match self.form {
            Form::Delta => &[("spark.sql.sources.provider", "delta"), ("classification", "delta")],
            Form::Symlinks => &[("classification", "parquet")],
        };
        let parameters = of_form.iter().chain(&[("EXTERNAL", "TRUE")]);
        parameters.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    pub(super) fn serde_parameters(&self) -> HashMap<String, String> {
        let parameters = [("serialization.format", "1"), ("path", &self.location)];
        parameters.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
    }
}

pub(super) const TABLE_TYPE: &str = "EXTERNAL_TABLE";

/// Returns three values for each column: its name in the table, its lower-case name in the catalog,
/// and its Hive type.
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
    }
}
