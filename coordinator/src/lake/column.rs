//! The columns of a table or a source in a manifest: a stable id, a name and a type.
//!
//! Types are stored in Delta's JSON form. They are converted to Arrow for queries and written to
//! the Delta log for other engines. In Parquet files, the id (`field_id`) identifies a column even
//! if its position changes. An id is never reused for another column of the table. So a future
//! reader that finds columns by id (Iceberg) sees the same values as one that finds them by name.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use arrow::datatypes::{DataType as ArrowType, Field, Schema, SchemaRef};
use deltalake_core::kernel::engine::arrow_conversion::{TryIntoArrow, TryIntoKernel};
use deltalake_core::kernel::{DataType, PrimitiveType, StructField, StructType};
use lakewright_common::error::{Context, Error, Result};
use parquet::arrow::PARQUET_FIELD_ID_META_KEY;
use serde::{Deserialize, Serialize};

/// One column. The values of a partition column are in the paths of files and not in the files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Column {
    pub(crate) id: u32,
    pub(crate) name: String,
    #[serde(rename = "type")]
    pub(crate) data_type: DataType,
    pub(crate) nullable: bool,
}

/// All columns of a table or source, in order, and the highest id that was ever assigned.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Columns {
    pub(crate) last_id: u32,
    pub(crate) list: Vec<Column>,
    /// Columns of earlier versions that are not in `list`. Files of those versions still have them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) dropped: Vec<Column>,
}

/// Assigns ids to the columns of `schema`. A column keeps the id that a column of the same name has
/// in `previous`, even if that column was dropped. A new name gets the next id.
///
/// # Errors
/// A configuration error if Delta's lowest protocol cannot represent the schema: a type without a
/// counterpart, a timestamp without a zone, an empty name, a name with a space, a tab, a line feed
/// or one of `,;{}()=`, or two names that differ only in case.
pub(crate) fn assign_column_ids(previous: Option<&Columns>, schema: &Schema) -> Result<Columns> {
    let known: HashMap<&str, u32> =
        previous.iter().flat_map(|columns| columns.ever()).map(|column| (column.name.as_str(), column.id)).collect();
    // Never reuse the id of a dropped column: old files still have it.
    let mut last_id = previous.map_or(0, |columns| columns.last_id);
    let mut seen = BTreeSet::new();
    let mut list = Vec::with_capacity(schema.fields().len());
    for field in schema.fields() {
        check_name(field.name())?;
        // Spark compares names without case, so such a table would be ambiguous there.
        if !seen.insert(field.name().to_lowercase()) {
            return Err(Error::configuration(format!(
                "column `{}` exists twice, apart from upper and lower case",
                field.name()
            ))
            .hint("give one of them another name with `AS`"));
        }
        let id = known.get(field.name().as_str()).copied().unwrap_or_else(|| {
            last_id += 1;
            last_id
        });
        list.push(Column {
            id,
            name: field.name().clone(),
            data_type: delta_type(field.name(), field.data_type())?,
            nullable: field.is_nullable(),
        });
    }
    let is_dropped = |column: &&Column| list.iter().all(|kept| kept.name != column.name);
    let dropped = previous.iter().flat_map(|columns| columns.ever()).filter(is_dropped).cloned().collect();
    Ok(Columns { last_id, list, dropped })
}

/// Refuses names that Delta allows only with column mapping, which needs a higher protocol.
fn check_name(name: &str) -> Result<()> {
    if name.is_empty() || name.contains([' ', ',', ';', '{', '}', '(', ')', '\n', '\t', '=']) {
        return Err(Error::configuration(format!("`{name}` cannot be the name of a column in a Delta table"))
            .hint("name the column with `AS`, without spaces and without any of `,;{}()=`"));
    }
    Ok(())
}

fn delta_type(column: &str, arrow_type: &ArrowType) -> Result<DataType> {
    // Run our own check first, because its errors say what to write instead.
    check_type(column, arrow_type)?;
    let data_type: std::result::Result<DataType, _> = arrow_type.try_into_kernel();
    data_type.context(|| {
        Error::configuration(format!("column `{column}` has type `{arrow_type}`, which a Delta table cannot hold"))
            .hint("cast it in the model")
    })
}

/// Refuses types that can be converted to Delta types, but only with changed values or with a
/// higher protocol than Delta's lowest.
fn check_type(column: &str, arrow_type: &ArrowType) -> Result<()> {
    let hint = match arrow_type {
        ArrowType::Timestamp(_, None) => "cast it to `TIMESTAMP WITH TIME ZONE`: Delta's lowest protocol has no other",
        ArrowType::Null => "cast the `NULL` in the model to the intended type",
        ArrowType::UInt64 => "cast it to `BIGINT`: Delta has no unsigned numbers",
        ArrowType::UInt8 | ArrowType::UInt16 | ArrowType::UInt32 => {
            "cast it to the next larger signed type: Delta has no unsigned numbers"
        }
        ArrowType::Struct(fields) => {
            return fields.iter().try_for_each(|field| check_type(column, field.data_type()));
        }
        ArrowType::List(item) | ArrowType::LargeList(item) | ArrowType::FixedSizeList(item, _) => {
            return check_type(column, item.data_type());
        }
        ArrowType::Map(entries, _) => return check_type(column, entries.data_type()),
        ArrowType::Union(..) => {
            "this is a JSON value of any type: use `->>` for text, `json_get_json` for JSON text, or cast it"
        }
        ArrowType::Time32(_) | ArrowType::Time64(_) => "cast it to `VARCHAR`: Delta has no time of day",
        _ => return Ok(()),
    };
    Err(Error::configuration(format!("column `{column}` has type `{arrow_type}`, which a Delta table cannot hold"))
        .hint(hint))
}

impl Column {
    /// Converts the column to an Arrow field, with its id as Parquet's `field_id`. Every string
    /// type becomes `Utf8`, and every timestamp type becomes microseconds in UTC.
    pub(crate) fn to_field(&self) -> Result<Field> {
        let arrow_type: std::result::Result<ArrowType, _> = (&self.data_type).try_into_arrow();
        let arrow_type = arrow_type.context(|| {
            Error::internal(format!("column `{}` has type `{}`, unknown here", self.name, self.data_type))
        })?;
        let metadata = HashMap::from([(PARQUET_FIELD_ID_META_KEY.to_owned(), self.id.to_string())]);
        Ok(Field::new(&self.name, arrow_type, self.nullable).with_metadata(metadata))
    }
}

/// Returns the name of a type in catalogs that use Hive's types, such as AWS Glue.
pub(crate) fn hive_type(data_type: &DataType) -> String {
    match data_type {
        DataType::Primitive(PrimitiveType::Long) => "bigint".to_owned(),
        DataType::Primitive(PrimitiveType::Integer) => "int".to_owned(),
        DataType::Primitive(PrimitiveType::Short) => "smallint".to_owned(),
        DataType::Primitive(PrimitiveType::Byte) => "tinyint".to_owned(),
        DataType::Array(array) => format!("array<{}>", hive_type(array.element_type())),
        DataType::Map(map) => format!("map<{},{}>", hive_type(map.key_type()), hive_type(map.value_type())),
        DataType::Struct(members) => {
            let members = members.fields().map(|member| format!("{}:{}", member.name(), hive_type(member.data_type())));
            format!("struct<{}>", members.collect::<Vec<_>>().join(","))
        }
        // Other types have the same name in Delta and Hive: string, double, float, boolean, date,
        // timestamp, binary, decimal(p,s).
        other => other.to_string(),
    }
}

impl Columns {
    /// Returns the columns of this version and those that were dropped before.
    pub(crate) fn ever(&self) -> impl Iterator<Item = &Column> {
        self.list.iter().chain(&self.dropped)
    }

    /// Returns the Arrow schema with which the table is queried and written.
    pub(crate) fn arrow_schema(&self) -> Result<SchemaRef> {
        let fields = self.list.iter().map(Column::to_field).collect::<Result<Vec<_>>>()?;
        Ok(Arc::new(Schema::new(fields)))
    }

    /// Returns the schema for the Delta log, without ids, because ids in a Delta log mean that the
    /// table uses column mapping.
    pub(crate) fn delta_schema(&self) -> Result<StructType> {
        let fields =
            self.list.iter().map(|column| StructField::new(&column.name, column.data_type.clone(), column.nullable));
        StructType::try_new(fields).context(|| Error::internal("the columns make no Delta schema"))
    }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::TimeUnit;

    use super::*;

    fn timestamp_type() -> ArrowType {
        ArrowType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
    }

    fn schema(fields: &[(&str, ArrowType)]) -> Schema {
        Schema::new(fields.iter().map(|(name, kind)| Field::new(*name, kind.clone(), true)).collect::<Vec<_>>())
    }

    #[test]
    fn a_column_keeps_its_id_and_an_id_is_never_given_twice() {
        let long = ArrowType::Int64;
        let first = assign_column_ids(None, &schema(&[("a", long.clone()), ("b", long.clone())])).unwrap();
        let without_b = assign_column_ids(Some(&first), &schema(&[("a", long.clone())])).unwrap();
        let third =
            assign_column_ids(Some(&without_b), &schema(&[("c", long.clone()), ("a", ArrowType::Utf8)])).unwrap();
        let ids: Vec<_> = third.list.iter().map(|column| (column.name.as_str(), column.id)).collect();
        assert_eq!(ids, [("c", 3), ("a", 1)]);
        // A column that comes back keeps its id, because old files still have it.
        let fourth = assign_column_ids(Some(&third), &schema(&[("b", long.clone()), ("d", long)])).unwrap();
        let ids: Vec<_> = fourth.ever().map(|column| (column.name.as_str(), column.id)).collect();
        assert_eq!(ids, [("b", 2), ("d", 4), ("c", 3), ("a", 1)]);
    }

    #[test]
    fn every_type_of_a_source_comes_back_from_json() {
        let member = Field::new("m", ArrowType::Boolean, true);
        let types = [
            ArrowType::Utf8,
            ArrowType::Int64,
            ArrowType::Int32,
            ArrowType::Float64,
            ArrowType::Boolean,
            timestamp_type(),
            ArrowType::Date32,
            ArrowType::Decimal128(38, 9),
            ArrowType::List(Arc::new(Field::new("element", ArrowType::Struct(vec![member.clone()].into()), true))),
            ArrowType::Struct(vec![member, Field::new("n", timestamp_type(), true)].into()),
        ];
        for kind in types.clone() {
            let columns = assign_column_ids(None, &schema(&[("x", kind.clone())])).unwrap();
            let text = serde_json::to_string(&columns).unwrap();
            let back: Columns = serde_json::from_str(&text).unwrap();
            assert_eq!(back, columns);
            let field = back.arrow_schema().unwrap().field(0).clone();
            assert_eq!(field.data_type(), &kind);
            assert_eq!(field.metadata()[PARQUET_FIELD_ID_META_KEY], "1");
        }
        let hive: Vec<String> = types
            .iter()
            .map(|kind| {
                let columns = assign_column_ids(None, &schema(&[("x", kind.clone())])).unwrap();
                hive_type(&columns.list[0].data_type)
            })
            .collect();
        let expected = [
            "string",
            "bigint",
            "int",
            "double",
            "boolean",
            "timestamp",
            "date",
            "decimal(38,9)",
            "array<struct<m:boolean>>",
            "struct<m:boolean,n:timestamp>",
        ];
        assert_eq!(hive, expected);
        let view = assign_column_ids(None, &schema(&[("x", ArrowType::Utf8View)])).unwrap();
        assert_eq!(view.arrow_schema().unwrap().field(0).data_type(), &ArrowType::Utf8);
    }

    #[test]
    fn what_delta_cannot_hold_is_refused_with_a_hint() {
        let refused = [
            schema(&[("x", ArrowType::Timestamp(TimeUnit::Microsecond, None))]),
            schema(&[("x", ArrowType::UInt64)]),
            schema(&[("x", ArrowType::Null)]),
            schema(&[("count(*)", ArrowType::Int64)]),
            schema(&[("x", ArrowType::Int64), ("X", ArrowType::Int64)]),
        ];
        for schema in refused {
            let error = assign_column_ids(None, &schema).unwrap_err();
            assert!(error.hint.is_some(), "{error}");
        }
    }
}
