//! Definitions in the form that the Glue client sends.

use aws_sdk_glue::error::BuildError;
use aws_sdk_glue::types::{Column, SerDeInfo, StorageDescriptor, TableInput};
use lakewright_common::error::{Error, Result};

use crate::glue::definition::{Definition, Form, TABLE_TYPE};

/// Builds the definition in the form that the Glue client sends.
pub(super) fn table_input(definition: &Definition) -> Result<TableInput> {
    TableInput::builder()
        .name(&definition.name)
        .table_type(TABLE_TYPE)
        .set_parameters(Some(definition.parameters()))
        .set_partition_keys(Some(glue_columns(definition, &definition.partition_keys)?))
        .storage_descriptor(storage(definition, &definition.location)?)
        .build()
        .map_err(|e| unusable(definition, e))
}

/// Describes how rows are read at `location`, the location of the table or of one of its
/// partitions.
pub(super) fn storage(definition: &Definition, location: &str) -> Result<StorageDescriptor> {
    let builder = StorageDescriptor::builder()
        .set_columns(Some(glue_columns(definition, &definition.columns)?))
        .location(location);
    let serde = SerDeInfo::builder();
    Ok(match definition.form {
        Form::Delta => builder.serde_info(serde.set_parameters(Some(definition.serde_parameters())).build()).build(),
        Form::Symlinks => builder
            .input_format("org.apache.hadoop.hive.ql.io.SymlinkTextInputFormat")
            .output_format("org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat")
            .serde_info(
                serde.serialization_library("org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe").build(),
            )
            .build(),
    })
}

fn glue_columns(definition: &Definition, columns: &[(String, String)]) -> Result<Vec<Column>> {
    let columns = columns.iter().map(|(name, kind)| Column::builder().name(name).r#type(kind).build());
    columns.collect::<std::result::Result<_, _>>().map_err(|e| unusable(definition, e))
}

fn unusable(definition: &Definition, error: BuildError) -> Error {
    Error::internal(format!("cannot build the definition of table `{}`", definition.name)).caused_by(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lake::fixture;

    #[test]
    fn the_printed_definition_equals_the_one_that_is_sent() {
        let manifest = fixture::manifest(1, &[("Songs", &["year=1999/a.parquet"])]);
        let definition = Definition::of_delta("s3://analytics/lake/", &manifest.tables[0]);
        let json = definition.json("music");
        let input = table_input(&definition).unwrap();
        assert_eq!(input.name(), json["TableInput"]["Name"]);
        assert_eq!(input.parameters(), Some(&definition.parameters()));
        let names: Vec<&str> = input.storage_descriptor().unwrap().columns().iter().map(Column::name).collect();
        let printed = json["TableInput"]["StorageDescriptor"]["Columns"].as_array().unwrap();
        assert_eq!(names, printed.iter().map(|column| column["Name"].as_str().unwrap()).collect::<Vec<_>>());
    }

    #[test]
    fn by_lists_a_table_has_what_it_is_partitioned_by_apart() {
        let manifest = fixture::manifest(1, &[("Songs", &["year=1999/a.parquet"])]);
        let input = table_input(&Definition::of_symlinks("s3://analytics/lake/", &manifest.tables[0])).unwrap();
        let storage = input.storage_descriptor().unwrap();
        assert_eq!(storage.location(), Some("s3://analytics/lake/Songs/_symlink_format_manifest/"));
        let names = |columns: &[Column]| columns.iter().map(|column| column.name().to_owned()).collect::<Vec<_>>();
        assert_eq!(names(storage.columns()), ["title"]);
        assert_eq!(names(input.partition_keys()), ["year"]);
        assert!(storage.input_format().unwrap().ends_with(".SymlinkTextInputFormat"));
    }
}
